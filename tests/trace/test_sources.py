"""Which files make up one trace."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from traces import X86_64, final_line, run, spooled_other, spooled_test, trace_of

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.reading import LineParser
from pytest_seccomp.trace.records import Record
from pytest_seccomp.trace.sources import Source, check_pair, copy, find, find_all, read_records

LINES = [
    final_line(spooled_other("collect", {(X86_64, 0): 5})),
    final_line(spooled_test("a", [[X86_64, 0, {"call": 1}]])),
]


def write(path: Path, *members: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in members))
    return path


def trace(folder: Path, name: str = "out") -> tuple[Path, Path]:
    """Both files of a trace."""
    path = write(folder / f"{name}.ndjson", *trace_of(LINES))
    return path, write(folder / f"{name}.tests.ndjson", json.loads(run().format()), *LINES)


def test_a_trace_is_found_by_either_file(tmp_path: Path) -> None:
    path, tests = trace(tmp_path)
    assert find(path) == Source(path, tests)
    assert find(tests) == Source(None, tests)
    assert find(path).named == find(tests).named == tests


def test_a_trace_without_its_tests_file_is_found(tmp_path: Path) -> None:
    path, tests = trace(tmp_path)
    tests.unlink()
    assert find(path) == Source(path, None)
    assert find(path).named == path


def test_the_tests_file_lies_beside_the_file_not_beside_a_link_to_it(tmp_path: Path) -> None:
    _, tests = trace(tmp_path)
    (tmp_path / "links").mkdir()
    link = tmp_path / "links/latest.ndjson"
    link.symlink_to("../out.ndjson")
    assert find(link) == Source(link, tests)


def test_both_files_of_a_trace_are_one(tmp_path: Path) -> None:
    path, tests = trace(tmp_path, "a")
    other, other_tests = trace(tmp_path, "b")
    both = [Source(path, tests), Source(other, other_tests)]
    assert find_all([path, other]) == both
    assert find_all([path, tests, other, other_tests]) == both  # as a shell expands *.ndjson
    assert find_all([tests, path, other_tests, other]) == both


def test_a_file_given_twice_is_refused(tmp_path: Path) -> None:
    path, _ = trace(tmp_path)
    (tmp_path / "link").symlink_to(path)
    for again in (path, tmp_path / "link"):
        with pytest.raises(TraceError, match=re.escape(f"{again} is given twice and would count twice")):
            find_all([path, again])


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="is no regular file"):
        find(tmp_path)
    with pytest.raises(TraceError, match=r"cannot read .*gone: No such file or directory \(ENOENT\)"):
        find(tmp_path / "gone")


def test_copying_keeps_every_line_as_it_stands(tmp_path: Path) -> None:
    _, tests = trace(tmp_path)
    tests.write_text(tests.read_text().replace('"arch": ', '"arch":  ').rstrip("\n"))
    output = io.BytesIO()
    totals = copy(find(tests), output, LineParser())
    assert output.getvalue() == tests.read_bytes() + b"\n"
    assert totals.records() == [Record(0, "read", 6, "x86_64", 1, 5)]


def test_a_trace_without_its_tests_file_is_copied_as_one_line(tmp_path: Path) -> None:
    path, tests = trace(tmp_path)
    tests.unlink()
    output = io.BytesIO()
    totals = copy(find(path), output, LineParser())
    assert json.loads(output.getvalue()) == {"kind": "trace", "complete": True, "syscalls": trace_of(LINES)}
    assert totals.records() == [Record(0, "read", 6, "x86_64", 1, 5)]
    assert totals.complete


def test_a_trace_without_any_record_is_incomplete(tmp_path: Path) -> None:
    """It has no line that could say so, and every run makes calls."""
    assert not copy(find(write(tmp_path / "out.ndjson")), io.BytesIO(), LineParser()).complete


def test_a_pair_of_one_run_is_accepted_and_of_two_runs_is_not(tmp_path: Path) -> None:
    path, _ = trace(tmp_path)
    parser = LineParser()
    check_pair(find(path), copy(find(path), io.BytesIO(), parser), parser)
    write(path, *trace_of(LINES[:1]))
    totals = copy(find(path), io.BytesIO(), parser)
    with pytest.raises(TraceError, match=r"out.ndjson and .*out.tests.ndjson are not of the same run"):
        check_pair(find(path), totals, parser)


def test_the_two_files_of_a_trace_are_told_apart(tmp_path: Path) -> None:
    path, tests = trace(tmp_path)
    with pytest.raises(TraceError, match="the tests of a trace where its records should be"):
        read_records(tests, LineParser())
    with pytest.raises(TraceError, match="records of a trace, but none of its tests"):
        list(Source(None, path).items(LineParser()))
