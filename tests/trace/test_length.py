"""A tests file says how long it is: what is missing at its end is noticed, also where PATH does not tell."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from traces import X86_64, objects, run, spooled_other, spooled_test, write_spool

from pytest_seccomp.errors import TraceError
from pytest_seccomp.gate.updating import Target
from pytest_seccomp.trace import length
from pytest_seccomp.trace.reading import LineParser
from pytest_seccomp.trace.records import Record
from pytest_seccomp.trace.sources import find, find_all
from pytest_seccomp.trace.store import Destination, merge_traces, write_trace
from pytest_seccomp.trace.totals import Totals

READ = X86_64, 0
SPOOLED = [
    spooled_test("t.py::a", [[*READ, {"call": 7}]]),
    spooled_test("t.py::empty", []),
    spooled_other("harness", {READ: 99}),
]


def one_run(path: Path, append: bool = False) -> Path:
    """Of four lines."""
    spool = write_spool(path.with_suffix(".spool"), SPOOLED)
    return write_trace(Destination.check(path, append=append), run(), [spool], append=append).tests


def appended(path: Path) -> Path:
    one_run(path)
    return one_run(path, append=True)


def merged(path: Path) -> Path:
    """Its last run is one of two, and would be whole alone."""
    shards = [appended(path.with_name("a.ndjson")), one_run(path.with_name("b.ndjson"))]
    return merge_traces(Destination.check(path), find_all(shards)).tests


def merged_twice(path: Path) -> Path:
    return merge_traces(Destination.check(path), find_all([merged(path.with_name("c.ndjson"))])).tests


def of_a_trace_without_tests(path: Path) -> Path:
    one_run(path).unlink()
    return one_run(path, append=True)


def updated(path: Path) -> Path:
    """By the gate, which adds calls to a trace that it takes for what is allowed."""
    tests = one_run(path)
    Target.check(path).update([Record(1, "write", 3, "x86_64", 1, 0)])
    return tests


def older(path: Path) -> Path:
    """Of a version that did not say it, added to by one that does."""
    forget(one_run(path))
    return one_run(path, append=True)


def forget(tests: Path) -> None:
    """What its first line says of its length."""
    tests.write_text("".join(json.dumps(without(line)) + "\n" for line in objects(tests)))


def without(line: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in line.items() if name != "lines"}


def read(path: Path) -> Totals:
    totals = Totals()
    for _ in find(path).items(LineParser(), totals):
        pass
    return totals


MAKERS = [one_run, appended, merged, merged_twice, of_a_trace_without_tests, updated, older]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("alone", [True, False])
def test_a_file_without_its_last_lines_is_noticed(tmp_path: Path, make: Callable[[Path], Path], alone: bool) -> None:
    tests = make(tmp_path / "out.ndjson")
    if alone:
        (tmp_path / "out.ndjson").unlink()
    lines = tests.read_bytes().splitlines(keepends=True)
    assert read(tests).lines == len(lines)
    for left in range(1, len(lines)):
        tests.write_bytes(b"".join(lines[:left]))
        with pytest.raises(TraceError) as caught:
            read(tests)
        assert str(caught.value) == (
            f"{tests} is not whole, it has {left} lines of {len(lines)}: record it anew or leave it out"
        )


@pytest.mark.parametrize("make", MAKERS)
def test_the_first_line_says_it_in_a_place_of_its_own(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    """So it can be written when all others are there."""
    first, *others = make(tmp_path / "out.ndjson").read_bytes().splitlines()
    assert first.endswith(b', "lines": %10d}' % len(others))


def test_what_lacks_lines_in_its_middle_is_noticed(tmp_path: Path) -> None:
    tests = merged(tmp_path / "out.ndjson")
    lines = tests.read_bytes().splitlines(keepends=True)
    tests.write_bytes(b"".join(lines[:2] + lines[3:]))
    with pytest.raises(TraceError, match="is not whole, it has 11 lines of 12"):
        read(tests)


def test_files_that_were_put_together_by_hand_are_read(tmp_path: Path) -> None:
    tests = [one_run(tmp_path / f"{name}.ndjson") for name in "ab"]
    both = tmp_path / "both.tests.ndjson"
    both.write_bytes(b"".join(path.read_bytes() for path in tests))
    assert read(both).tests == 4
    both.write_bytes(both.read_bytes().rstrip(b"\n").rpartition(b"\n")[0] + b"\n")
    with pytest.raises(TraceError, match="is not whole, it has 7 lines of 8"):
        read(both)


def test_a_file_that_does_not_say_how_long_it_is_is_read(tmp_path: Path) -> None:
    tests = one_run(tmp_path / "out.ndjson")
    forget(tests)
    assert (read(tests).lines, read(tests).tests) == (4, 2)


@pytest.mark.parametrize("lines", [-1, "4", 4.0, None, True])
def test_a_length_that_is_none_is_refused(tmp_path: Path, lines: object) -> None:
    tests = one_run(tmp_path / "out.ndjson")
    first, *others = tests.read_text().splitlines()
    tests.write_text("\n".join([json.dumps({**json.loads(first), "lines": lines}), *others]))
    with pytest.raises(TraceError, match=r'out\.tests\.ndjson:1: "lines" cannot be '):
        read(tests)


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_other_members_of_a_first_line_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    """A newer version, or another tool, may say more of a run."""
    monkeypatch.setattr(length, "_CHUNK", chunk)
    tests = one_run(tmp_path / "out.ndjson")
    first, *others = objects(tests)
    theirs = [{**without(first), "host": "größer"}, *others]
    tests.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in theirs))
    one_run(tmp_path / "out.ndjson", append=True)
    assert objects(tests) == [{**theirs[0], "lines": 7}, *others, first, *others]
