"""Traces with programs that ran in sandboxes, for the commands: what these made counts for their tests."""

from pathlib import Path
from typing import Any

from commands import Command
from traces import DENIED, X86_64, objects, run, spooled_test, write_spool

from pytest_seccomp.trace.store import Destination, write_trace

ENTRY: dict[str, Any] = {
    "argv": ["curl"],
    "policy": "deny @internet",
    "phase": "call",
    "complete": True,
    "syscalls": [[X86_64, 39, 2]],
    "denied": [DENIED],
}


def write(folder: Path) -> Path:
    spooled = spooled_test("t.py::fetch", [[X86_64, 39, {"call": 5}]], sandboxes=[ENTRY])
    spool = write_spool(folder / "spool", [spooled, spooled_test("t.py::other", [])])
    return write_trace(Destination.check(folder / "out.ndjson"), run(), [spool]).path


def test_the_calls_are_their_tests_and_count_once(command: Command, tmp_path: Path) -> None:
    path = write(tmp_path)
    shown = command("why", "getpid", path)
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.splitlines()[-1].split() == ["5", "5", "t.py::fetch"]
    assert command("why", "socket", path).status == 1  # denied is not made
    assert command("show", path).status == 0
    assert command("diff", path, path).status == 0


def test_merging_keeps_them_as_they_are(command: Command, tmp_path: Path) -> None:
    path, merged = write(tmp_path), tmp_path / "merged.ndjson"
    assert command("merge", path, "-o", merged).err == ""
    assert objects(merged) == objects(path)
    _, first, second = objects(tmp_path / "merged.tests.ndjson")
    getpid = {"syscall": 39, "name": "getpid", "arch": "x86_64", "count": 2}
    assert first["sandboxes"] == [{**ENTRY, "syscalls": [getpid]}]
    assert second["sandboxes"] == []
