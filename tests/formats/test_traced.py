"""What traces have called, as a part of a profile."""

import re
from pathlib import Path
from typing import Any

import pytest
from traces import END, I386, X86_64, run, spooled_other, spooled_test, write_spool

from pytest_seccomp.errors import TraceError
from pytest_seccomp.formats.traced import traced
from pytest_seccomp.trace.sources import find_all
from pytest_seccomp.trace.store import Destination, write_trace


def written(path: Path, *lines: Any, end: Any = END) -> Path:
    spool = write_spool(path.with_suffix(".spool"), lines, end)
    write_trace(Destination.check(path), run(), [spool])
    spool.unlink()
    return path


def calls(path: Path, **options: Any) -> list[str]:
    return [call.text for call in traced(find_all([path]), **options).part.calls]


def test_what_tests_and_collecting_called_and_not_what_pytest_did_in_between(tmp_path: Path) -> None:
    path = written(
        tmp_path / "out.ndjson",
        spooled_other("collect", {(X86_64, 0): 10}),
        spooled_test("t.py::one", [[X86_64, 39, {"call": 1}], [I386, 102, {"shared": 1}]]),
        spooled_test("t.py::two", [[X86_64, 4000, {"setup": 1}]]),
        spooled_other("harness", {(X86_64, 1): 5}),
    )
    found = traced(find_all([path]))
    assert found.part.origin == "Called in out.ndjson"
    assert [call.text for call in found.part.calls] == [
        *["i386:socketcall", "x86_64:read", "x86_64:getpid", "x86_64:4000"]
    ]
    assert (found.complete, found.remarks, found.name) == (True, (), "out")
    assert found.files == (path, tmp_path / "out.tests.ndjson")


def test_what_fewer_tests_called_is_left_out_and_told(tmp_path: Path) -> None:
    path = written(
        tmp_path / "out.ndjson",
        spooled_other("collect", {(X86_64, 0): 10}),
        spooled_test("t.py::one", [[X86_64, 39, {"call": 1}], [X86_64, 257, {"call": 7}]]),
        spooled_test("t.py::two", [[X86_64, 39, {"call": 1}]]),
    )
    found = traced(find_all([path]), min_tests=2)
    assert [call.name for call in found.part.calls] == ["read", "getpid"]
    assert found.remarks == ("Left out, called by fewer than 2 tests: x86_64:openat (1 test).",)
    assert calls(path, min_tests=3) == ["x86_64:read"]


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "out.ndjson", spooled_test("t.py::one", [[X86_64, 39, {"call": 1}]]))
    with pytest.raises(TraceError, match="nothing was called by 2 tests: ask for fewer with --min-tests"):
        traced(find_all([path]), min_tests=2)


def test_an_incomplete_trace_is_refused_or_told(tmp_path: Path) -> None:
    end = {**END, "complete": False, "reasons": ["the recorder was killed"]}
    path = written(tmp_path / "My App (1).ndjson", spooled_test("t.py::one", [[X86_64, 39, {"call": 1}]]), end=end)
    with pytest.raises(TraceError, match=re.escape(f"{path} is incomplete (the recorder was killed), so that ")):
        traced(find_all([path]))
    found = traced(find_all([path]), allow_incomplete=True)
    assert found.remarks == ("INCOMPLETE, calls may be missing: My App (1).ndjson: the recorder was killed.",)
    assert (found.complete, found.name) == (False, "my-app-1")


def test_several_traces_add_up(tmp_path: Path) -> None:
    """Without its tests file, too: a shard's call counts as often as it was in a test."""
    one = written(tmp_path / "one.ndjson", spooled_test("t.py::one", [[X86_64, 39, {"call": 1}]]))
    made = [[X86_64, 39, {"call": 1}], [I386, 1, {"call": 1}]]
    two = written(tmp_path / "two.ndjson", spooled_test("t.py::one", made))
    (tmp_path / "two.tests.ndjson").unlink()
    found = traced(find_all([one, two]), min_tests=2)
    assert [call.text for call in found.part.calls] == ["x86_64:getpid"]
    assert found.part.origin == "Called in one.ndjson, two.ndjson"
