"""Merging traces: the files of several runs into those of one."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from traces import END, X86_64, lines, objects, run, spooled_other, spooled_test, trace_of, write_spool

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.records import Record
from pytest_seccomp.trace.sources import find_all
from pytest_seccomp.trace.store import Destination, merge_traces, write_trace

READ, WRITE, GETPID = (X86_64, 0), (X86_64, 1), (X86_64, 39)
SPOOLED = [
    spooled_other("collect", {READ: 10, WRITE: 1}),
    spooled_test("t.py::a", [[*READ, {"setup": 2, "call": 7}], [*GETPID, {"call": 1000}]]),
    spooled_test("t.py::b", [], outcome="failed"),
]


def shard(folder: Path, name: str, spooled: list[dict[str, Any]], end: dict[str, Any] | None = END) -> Path:
    """A trace in a folder of its own; returns PATH."""
    spool = write_spool(folder / f"{name}.spool", spooled, end)
    return write_trace(Destination.check(folder / name / "out.ndjson"), run(), [spool]).path


def without_lengths(path: Path) -> list[str]:
    """The lines of a tests file without what depends on their place."""
    return [json.dumps({name: value for name, value in line.items() if name != "lines"}) for line in objects(path)]


@given(st.lists(st.lists(lines, max_size=3), min_size=1, max_size=4), st.data())
@settings(max_examples=25)
def test_shards_merge_in_any_order_and_grouping_to_the_same_path(
    spooled: list[list[dict[str, Any]]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shards = [shard(folder, f"shard{index}", found) for index, found in enumerate(spooled)]
        direct = merge_traces(Destination.check(folder / "all.ndjson"), find_all(shards))
        order = data.draw(st.permutations(shards))
        middle = data.draw(st.integers(1, len(order)))
        group = merge_traces(Destination.check(folder / "group.ndjson"), find_all(order[:middle]))
        rest = data.draw(st.permutations([group.path, *order[middle:]]))
        grouped = merge_traces(Destination.check(folder / "grouped.ndjson"), find_all(rest))
        assert grouped.path.read_bytes() == direct.path.read_bytes()
        assert sorted(without_lengths(grouped.tests)) == sorted(without_lengths(direct.tests))
        assert (grouped.complete, grouped.lost) == (direct.complete, direct.lost)


def test_shards_merge_to_the_sum_of_tests_and_the_largest_collection(tmp_path: Path) -> None:
    one = shard(tmp_path, "one", SPOOLED)
    other = shard(tmp_path, "other", [spooled_other("collect", {READ: 4, WRITE: 3}), SPOOLED[1]])
    written = merge_traces(Destination.check(tmp_path / "all.ndjson"), find_all([one, other]))
    assert written.records == [
        Record(39, "getpid", 2000, "x86_64", 2, 0),
        Record(0, "read", 28, "x86_64", 2, 10),
        Record(1, "write", 3, "x86_64", 0, 3),
    ]
    assert objects(written.path) == trace_of(objects(written.tests))
    assert written.file_complete


def test_an_incomplete_shard_makes_the_whole_incomplete(tmp_path: Path) -> None:
    one, other = shard(tmp_path, "one", SPOOLED), shard(tmp_path, "other", SPOOLED, end=None)
    written = merge_traces(Destination.check(tmp_path / "all.ndjson"), find_all([one, other]))
    assert (written.complete, written.lost) == (False, None)
    assert written.reasons == ["the recorder did not come to its end"]
    assert {record["complete"] for record in objects(written.path)} == {False}


@pytest.mark.parametrize("named", ["out.ndjson", "out.tests.ndjson", "../one/out.ndjson", "hard-link"])
def test_the_output_is_refused_among_the_inputs(tmp_path: Path, named: str) -> None:
    """By whatever name."""
    one = shard(tmp_path, "one", SPOOLED)
    one.with_name("hard-link").hardlink_to(one)
    before = one.read_bytes()
    with pytest.raises(TraceError, match=r"is both input and output and would count twice: name another output"):
        merge_traces(Destination.check(one), find_all([one.parent / named]))
    assert one.read_bytes() == before


def test_files_of_two_runs_are_not_merged(tmp_path: Path) -> None:
    one, other = shard(tmp_path, "one", SPOOLED), shard(tmp_path, "other", SPOOLED[:1])
    os.replace(other, one)
    with pytest.raises(TraceError, match="do not agree"):
        merge_traces(Destination.check(tmp_path / "all.ndjson"), find_all([one]))
    assert not (tmp_path / "all.ndjson").exists()
