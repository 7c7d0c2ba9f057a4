"""`why`: who made a call."""

import json
import re
from pathlib import Path

import pytest
from commands import Command, Trace
from traces import X86_64, run, spooled_test, write_spool

from pytest_seccomp.trace.store import Destination, write_trace


def test_by_name(command: Command, trace: Trace) -> None:
    path = trace()
    result = command("why", "read", path)
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines() == [
        f"{path}: complete, notify",
        "1 run, 4 tests, 1,024 calls of 3 kinds: 1,014 in tests, 10 in collection",
        "",
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
    assert result.out.splitlines()[4:] == ["1,000  1,000  t.py::copy"]


def test_a_number_on_two_architectures_names_the_call(command: Command, trace: Trace) -> None:
    assert command("why", "1", trace()).out.splitlines()[3:] == [
        "count  call     system call  made by",
        "    1     1     exit (i386)  t.py::program",
        "    5        write (x86_64)  (harness, gw0)",
    ]


@pytest.mark.parametrize("call", ["socket", "x86_64:openat", "i386:read", "9999", "i386:39"])
def test_a_call_that_nobody_made_has_status_1(command: Command, trace: Trace, call: str) -> None:
    result = command("why", call, trace())
    assert (result.status, result.err) == (1, "")
    assert result.out.splitlines()[3:] == [f"nobody made {call}"]


def test_a_call_that_only_pytest_made_has_status_1(command: Command, trace: Trace) -> None:
    result = command("why", "write", trace())
    assert result.status == 1
    assert result.out.splitlines()[3:] == [
        "count  made by",
        "    5  (harness, gw0)",
        "only pytest itself made write, between tests: that is not in the trace",
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("opnat", r"no system call is named 'opnat': did you mean openat\b.*\?"),
        ("i386:scketcall", r"no system call is named 'scketcall': did you mean socketcall\b.*\?"),
        ("?!", r"no system call is named '\?!': name it as the manual pages do, or by its number"),
        ("pdp11:read", r"unknown architecture 'pdp11': name one as in x86_64:257, or leave it out"),
        ("", r"no system call is named '': name it .*"),
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
    result = command("why", "x86_64:-1", path)
    assert (result.status, result.out.splitlines()[4:]) == (0, ["    3     3  t.py::odd"])


def test_an_incomplete_trace_says_so(command: Command, trace: Trace) -> None:
    path = trace(complete=False)
    for call in ("read", "socket"):
        lines = command("why", call, path).out.splitlines()
        assert lines[0] == f"{path}: INCOMPLETE, notify"
        assert lines[2:4] == ["INCOMPLETE: calls may be missing:", "  gw0: the recorder was killed"]
    assert lines[-1] == "nobody made socket, as far as this incomplete trace can tell"


def test_a_test_that_died_is_marked(command: Command, tmp_path: Path) -> None:
    died = spooled_test("t.py::died", [[X86_64, 0, {"call": 1}]], outcome=None, complete=False)
    spool = write_spool(tmp_path / "spool", [died])
    path = write_trace(Destination.check(tmp_path / "out.ndjson"), run(), [spool]).path
    assert command("why", "read", path).out.splitlines()[-1] == "    1     1  t.py::died (INCOMPLETE)"
    assert command("show", "--by-test", path).out.splitlines()[-2].endswith("died  t.py::died (INCOMPLETE)")


def test_without_its_tests_file_a_trace_still_tells_how_many_tests(command: Command, trace: Trace) -> None:
    path = trace()
    path.with_name("out.tests.ndjson").unlink()
    result = command("why", "read", path)
    assert result.status == 0
    assert result.out.splitlines()[3:] == [
        "count  made by",
        "   23  (2 tests, 10 in collection: no tests file to name them)",
    ]


def test_json(command: Command, trace: Trace) -> None:
    found = json.loads(command("why", "--json", "exit", trace()).out)
    assert (found["call"], found["complete"], found["tests_run"]) == ("exit", True, 4)
    assert found["made_by"] == [
        {
            "kind": "test",
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
