"""`why`: who made a call."""

import json
import re
from pathlib import Path

import pytest
from commands import Command, Trace
from traces import X86_64, run, spooled_other, spooled_test, write_spool

from pytest_seccomp.trace.records import Record
from pytest_seccomp.trace.store import Destination, write_trace


def test_by_name(command: Command, trace: Trace) -> None:
    path = trace()
    result = command("why", "read", path)
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines() == [
        f"{path}: complete, notify, i386, x86_64",
        "1 run, 4 tests, 1,024 calls of 3 kinds: 1,014 in tests, 10 in collection",
        "",
        "read: number 0 of x86_64",
        "count  setup  call  shared  made by",
        "    9      2     7          t.py::copy",
        "    4            1       3  t.py::copy (rerun 1)",
        "   10                       (collect, gw0)",
        "   99                       (harness, gw0)",
    ]


@pytest.mark.parametrize("call", ["39", "0x27", "x86_64:39", "x86_64:0x27", "x86_64:getpid"])
def test_by_number_and_architecture(command: Command, trace: Trace, call: str) -> None:
    result = command("why", call, trace())
    assert result.status == 0
    assert result.out.splitlines()[3:] == [
        "getpid: number 39 of x86_64",
        "count   call  made by",
        "1,000  1,000  t.py::copy",
    ]


def test_a_number_on_two_architectures_names_the_call(command: Command, trace: Trace) -> None:
    assert command("why", "1", trace()).out.splitlines()[3:] == [
        "exit: number 1 of i386",
        "write: number 1 of x86_64",
        "count  call     system call  made by",
        "    1     1     exit (i386)  t.py::program",
        "    5        write (x86_64)  (harness, gw0)",
    ]


@pytest.mark.parametrize(
    ("call", "names"),
    [
        ("socket", ""),
        ("x86_64:openat", ""),
        ("i386:read", ""),
        ("i386:39", " (mkdir of i386)"),
        ("41", " (dup of i386, socket of x86_64)"),
        ("x86_64:9999", " (no call that we know of x86_64)"),
    ],
)
def test_a_call_that_nobody_made_has_status_1(command: Command, trace: Trace, call: str, names: str) -> None:
    result = command("why", call, trace())
    assert (result.status, result.err) == (1, "")
    assert result.out.splitlines()[3:] == [f"nobody made {call}{names}"]


def test_a_number_of_an_architecture_that_a_newer_version_knows(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    path.write_text(Record(7, "read", 1, "pdp11", 1, 0).format())
    assert command("why", "8", path).out.splitlines()[3:] == ["nobody made 8 (a call of pdp11)"]


@pytest.mark.parametrize(
    ("call", "others"),
    [("lseek", None), ("i386:exit_group", "exit"), ("x86_64:exit_group", None), ("exit_group", "exit")],
)
def test_a_call_that_does_the_same_is_named(command: Command, trace: Trace, call: str, others: str | None) -> None:
    result = command("why", call, trace())
    hint = [f"but somebody made {others}: a C library chooses among calls that do the same"] if others else []
    assert result.out.splitlines()[3:] == [f"nobody made {call}", *hint]


def test_capitals_do_not_matter(command: Command, trace: Trace) -> None:
    path = trace()
    assert command("why", "X86_64:GetPID", path).out == command("why", "x86_64:getpid", path).out


def test_a_call_that_only_collecting_made_is_in_the_trace(command: Command, tmp_path: Path) -> None:
    spool = write_spool(tmp_path / "spool", [spooled_other("collect", {(X86_64, 0): 5})])
    path = write_trace(Destination.check(tmp_path / "out.ndjson"), run(), [spool]).path
    result = command("why", "read", path)
    assert result.status == 0
    assert result.out.splitlines()[4:] == [
        "count  made by",
        "    5  (collect)",
        "no test made it, only importing and collecting them",
    ]


def test_a_call_that_only_pytest_made_has_status_1(command: Command, trace: Trace) -> None:
    result = command("why", "write", trace())
    assert result.status == 1
    assert result.out.splitlines()[4:] == [
        "count  made by",
        "    5  (harness, gw0)",
        "only pytest itself made it, between tests: that is not in the trace",
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("opnat", r"no system call is named 'opnat': did you mean openat\b.*\?"),
        ("i386:scketcall", r"no system call is named 'scketcall': did you mean socketcall\b.*\?"),
        ("?!", r"no system call is named '\?!': name it as the manual pages do, or by its number"),
        ("pdp11:read", r"unknown architecture 'pdp11': name one as in x86_64:257, or leave it out"),
        ("", r"no system call is named '': name it .*"),
        ("i386:", r"no system call is named '': name it .*"),
        ("9" * 5000, rf"no system call is named '{'9' * 60}…': numbers have 32 bits"),
        ("0x123456789", r"no system call is named '0x123456789': .*"),
        ("x/read", r"x/read is a file, not a system call: pytest-seccomp why CALL TRACE, in this order"),
    ],
)
def test_an_unknown_call_is_an_error_that_names_the_nearest(
    command: Command, trace: Trace, call: str, message: str
) -> None:
    result = command("why", call, trace())
    assert (result.status, result.out) == (2, "")
    assert re.fullmatch(f"pytest-seccomp: error: {message}\n", result.err)


def test_a_number_below_zero_is_one_that_programs_can_make(command: Command, tmp_path: Path) -> None:
    spool = write_spool(tmp_path / "spool", [spooled_test("t.py::odd", [[X86_64, -1, {"call": 3}]])])
    path = write_trace(Destination.check(tmp_path / "out.ndjson"), run(), [spool]).path
    for call in ("x86_64:-1", "-1"):
        result = command("why", call, path)
        assert (result.status, result.out.splitlines()[3:]) == (
            0,
            ["a call without a name: number -1 of x86_64", "count  call  made by", "    3     3  t.py::odd"],
        )


def test_arguments_in_the_wrong_order_are_an_error_that_says_so(
    command: Command, trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trace().parent)
    result = command("why", "out.ndjson", "read")
    message = "out.ndjson is a file, not a system call: pytest-seccomp why CALL TRACE, in this order"
    assert (result.status, result.err) == (2, f"pytest-seccomp: error: {message}\n")
    Path("read").touch()
    assert command("why", "read", "out.ndjson").status == 0  # a file of that name does no harm


def test_a_test_that_ran_in_several_runs_says_in_which(command: Command, trace: Trace, tmp_path: Path) -> None:
    command("merge", "-o", tmp_path / "all.ndjson", trace("one"), trace("two"))
    result = command("why", "exit", tmp_path / "all.ndjson")
    assert result.out.splitlines()[4:] == [
        "count  call  run  made by",
        "    1     1    1  t.py::program",
        "    1     1    2  t.py::program",
        "run 1: tests, Python 3.13.0, pytest 9.0.0, Linux 6.12.0 on x86_64",
        "run 2: tests, Python 3.13.0, pytest 9.0.0, Linux 6.12.0 on x86_64",
    ]


def test_an_incomplete_trace_says_so(command: Command, trace: Trace) -> None:
    path = trace(complete=False)
    for call in ("read", "socket"):
        lines = command("why", call, path).out.splitlines()
        assert lines[0] == f"{path}: INCOMPLETE, notify, i386, x86_64"
        assert lines[2:4] == ["INCOMPLETE: calls may be missing:", "  gw0: the recorder was killed"]
    assert lines[-1] == "nobody made socket, as far as this incomplete trace can tell"


def test_a_test_that_did_not_finish_is_marked(command: Command, tmp_path: Path) -> None:
    died = spooled_test("t.py::died", [[X86_64, 0, {"call": 1}]], outcome=None, complete=False)
    lost = spooled_test("t.py::lost", [[X86_64, 0, {"call": 1}]], complete=False)
    spool = write_spool(tmp_path / "spool", [died, lost])
    path = write_trace(Destination.check(tmp_path / "out.ndjson"), run(), [spool]).path
    titles = ["t.py::died (did not finish)", "t.py::lost (INCOMPLETE)"]
    assert command("why", "read", path).out.splitlines()[-2:] == [f"    1     1  {title}" for title in titles]
    rows = command("show", "--by-test", path).out.splitlines()[-3:-1]
    assert rows == [f"    1         1     1           {titles[0]}", f"    1         1     1   passed  {titles[1]}"]


def test_without_its_tests_file_a_trace_still_tells_how_many_tests(command: Command, trace: Trace) -> None:
    path = trace()
    path.with_name("out.tests.ndjson").unlink()
    result = command("why", "read", path)
    assert result.status == 0
    assert result.out.splitlines()[3:] == [
        "read: number 0 of x86_64",
        "count  made by",
        "   23  (2 tests, 10 in collection: no tests file to name them)",
    ]


def test_json(command: Command, trace: Trace) -> None:
    found = json.loads(command("why", "--json", "exit", trace()).out)
    assert (found["call"], found["complete"], found["tests_run"]) == ("exit", True, 4)
    assert found["made_by"] == [
        {
            "kind": "test",
            "run": 1,
            "nodeid": "t.py::program",
            "worker": "gw0",
            "rerun": 0,
            "outcome": "failed",
            "complete": True,
            "syscall": 1,
            "name": "exit",
            "arch": "i386",
            "count": 1,
            "phases": {"setup": 0, "call": 1, "teardown": 0, "shared": 0},
        }
    ]


def test_json_of_a_call_that_nobody_made_has_status_1(command: Command, trace: Trace) -> None:
    result = command("why", "--json", "socket", trace())
    assert (result.status, json.loads(result.out)["made_by"]) == (1, [])
