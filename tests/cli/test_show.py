"""`show`: the table of a trace."""

import json
import os
from pathlib import Path

import pytest
from commands import Command, Trace
from traces import run


def test_by_call(command: Command, trace: Trace) -> None:
    path = trace()
    result = command("show", path)
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines() == [
        f"{path}: complete, notify, i386, x86_64",
        "1 run, 4 tests, 1,024 calls of 3 kinds: 1,014 in tests, 10 in collection",
        "",
        "count  tests  setup   call  shared  collection  system call",
        "1,000      1         1,000                      getpid (x86_64)",
        "   23      2      2      8       3          10  read (x86_64)",
        "    1      1             1                      exit (i386)",
    ]


def test_by_test(command: Command, trace: Trace) -> None:
    assert command("show", "--by-test", trace()).out.splitlines()[3:] == [
        "count  distinct  setup   call  shared  outcome  test",
        "1,009         2      2  1,007           passed  t.py::copy",
        "    4         1             1       3   passed  t.py::copy (rerun 1)",
        "    1         1             1           failed  t.py::program",
        "                                        passed  t.py::empty",
        "  104         2                                 (harness, gw0)",
        "   10         1                                 (collect, gw0)",
    ]


def test_sorted_by_name(command: Command, trace: Trace) -> None:
    path = trace()
    rows = command("show", "--sort", "name", path).out.splitlines()[4:]
    assert [row.split()[-2] for row in rows] == ["exit", "getpid", "read"]
    rows = command("show", "--sort=name", "--by-test", path).out.splitlines()[4:]
    assert [row[48:] for row in rows] == [
        "t.py::copy",
        "t.py::copy (rerun 1)",
        "t.py::empty",
        "t.py::program",
        "(collect, gw0)",
        "(harness, gw0)",
    ]


def test_without_its_tests_file_the_phases_are_unknown(command: Command, trace: Trace) -> None:
    path = trace()
    path.with_name("out.tests.ndjson").unlink()
    assert command("show", path).out.splitlines() == [
        f"{path}: complete, i386, x86_64",
        "1 trace without a tests file, 1,024 calls of 3 kinds: 1,014 in tests, 10 in collection",
        "",
        "count  tests  collection  system call",
        "1,000      1              getpid (x86_64)",
        "   23      2          10  read (x86_64)",
        "    1      1              exit (i386)",
    ]


def test_what_each_test_called_needs_the_tests_file(command: Command, trace: Trace) -> None:
    path = trace()
    path.with_name("out.tests.ndjson").unlink()
    result = command("show", "--by-test", path)
    assert result.status == 2
    assert result.err == (
        f"pytest-seccomp: error: {path} does not say what each test called, and its tests file is not beside it: "
        "name a trace that has both\n"
    )


def test_the_tests_file_shows_the_same(command: Command, trace: Trace) -> None:
    path = trace()
    tests = path.with_name("out.tests.ndjson")
    for view in ([], ["--by-test"]):
        assert command("show", *view, tests).out == command("show", *view, path).out


@pytest.mark.parametrize("view", [[], ["--by-test"]])
def test_an_incomplete_trace_says_so_before_and_after_the_table(
    command: Command, trace: Trace, view: list[str]
) -> None:
    path = trace(complete=False)
    result = command("show", *view, path)
    lines = result.out.splitlines()
    assert result.status == 0
    assert lines[0] == f"{path}: INCOMPLETE, notify, i386, x86_64"
    assert lines[2:4] == ["INCOMPLETE: calls may be missing:", "  gw0: the recorder was killed"]
    assert lines[-1] == "INCOMPLETE, see above"


def test_an_incomplete_trace_of_which_only_path_is_left_says_so(command: Command, trace: Trace) -> None:
    path = trace(complete=False)
    path.with_name("out.tests.ndjson").unlink()
    assert command("show", path).out.splitlines()[2:4] == [
        "INCOMPLETE: calls may be missing:",
        "  a trace that came without its tests file was incomplete",
    ]


def test_json_by_call(command: Command, trace: Trace) -> None:
    found = json.loads(command("show", "--json", trace(complete=False)).out)
    assert (found["complete"], found["lost"], found["reasons"]) == (False, 0, ["gw0: the recorder was killed"])
    assert [found[name] for name in ("tests_run", "distinct", "calls_in_tests", "calls_in_collection")] == [
        *(4, 3),
        *(1014, 10),
    ]
    assert [run["workers"] for run in found["runs"]] == [1]
    assert found["calls"][1] == {
        "syscall": 0,
        "name": "read",
        "count": 23,
        "arch": "x86_64",
        "tests": 2,
        "collection": 10,
        "complete": False,
        "phases": {"setup": 2, "call": 8, "teardown": 0, "shared": 3},
    }


def test_json_by_test(command: Command, trace: Trace) -> None:
    found = json.loads(command("show", "--json", "--by-test", trace()).out)
    assert found["tests"][1] == {
        "kind": "test",
        "run": 1,
        "nodeid": "t.py::copy",
        "worker": "gw0",
        "rerun": 1,
        "outcome": "passed",
        "complete": True,
        "count": 4,
        "distinct": 1,
        "phases": {"setup": 0, "call": 1, "teardown": 0, "shared": 3},
    }
    assert [test["kind"] for test in found["tests"]] == ["test"] * 4 + ["harness", "collect"]


@pytest.mark.parametrize("columns", [30, 40, 60, 80, 200])
@pytest.mark.parametrize("view", [[], ["--by-test"]])
def test_no_row_is_wider_than_the_terminal(
    command: Command, trace: Trace, monkeypatch: pytest.MonkeyPatch, columns: int, view: list[str]
) -> None:
    path = trace()
    tests = path.with_name("out.tests.ndjson")
    tests.write_text(tests.read_text().replace("t.py::copy", "tests/" + "long/" * 30 + "t.py::copy"))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("os.get_terminal_size", lambda *_: os.terminal_size((columns, 24)))
    monkeypatch.delenv("COLUMNS", raising=False)
    rows = command("show", *view, path).out.splitlines()[3:]
    assert max(map(len, rows)) <= columns
    assert any(row.endswith("py::copy (rerun 1)" if view else "getpid (x86_64)") for row in rows)


def test_no_row_is_cut_where_no_terminal_is(command: Command, trace: Trace) -> None:
    path = trace()
    tests = path.with_name("out.tests.ndjson")
    nodeid = "tests/" + "long/" * 100 + "t.py::copy"
    tests.write_text(tests.read_text().replace("t.py::copy", nodeid))
    assert nodeid in command("show", "--by-test", path).out


def test_what_a_narrow_terminal_leaves_out_is_named(
    command: Command, trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = trace()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr("os.get_terminal_size", lambda *_: os.terminal_size((55, 24)))
    monkeypatch.delenv("COLUMNS", raising=False)
    lines = command("show", "--by-test", path).out.splitlines()
    assert lines[3] == "count  setup   call  outcome  test"
    assert lines[-2:] == [
        "too narrow for: distinct, shared (a wider terminal, a",
        "file, a pipe and --json have all)",
    ]


def test_a_test_that_ran_in_several_runs_says_in_which(command: Command, trace: Trace) -> None:
    path = trace()
    tests = path.with_name("out.tests.ndjson")
    path.unlink()
    other = run(selection=[], python="3.12.0").format()
    tests.write_text(tests.read_text() + other + tests.read_text().splitlines(keepends=True)[4])
    assert command("show", "--by-test", "--sort", "name", tests).out.splitlines()[3:] == [
        "count  distinct  setup   call  shared  outcome  run  test",
        "1,009         2      2  1,007           passed    1  t.py::copy",
        "    4         1             1       3   passed    1  t.py::copy (rerun 1)",
        "                                        passed    1  t.py::empty",
        "    1         1             1           failed    1  t.py::program",
        "    1         1             1           failed    2  t.py::program",
        "   10         1                                   1  (collect, gw0)",
        "  104         2                                   1  (harness, gw0)",
        "run 1: tests, Python 3.13.0, pytest 9.0.0, Linux 6.12.0 on x86_64",
        "run 2: everything, Python 3.12.0, pytest 9.0.0, Linux 6.12.0 on x86_64",
    ]
    found = json.loads(command("show", "--by-test", "--json", tests).out)
    assert [(test["nodeid"], test["run"]) for test in found["tests"] if test["nodeid"] == "t.py::program"] == [
        ("t.py::program", 1),
        ("t.py::program", 2),
    ]


def test_a_trace_of_a_newer_version_says_what_to_do(command: Command, tmp_path: Path) -> None:
    tests = tmp_path / "out.tests.ndjson"
    tests.write_text(run().format().replace('"format": 1', '"format": 2'))
    result = command("show", tests)
    message = f"{tests}:1: format 2 is newer than this pytest-seccomp, which reads 1: update it"
    assert (result.status, result.err) == (2, f"pytest-seccomp: error: {message}\n")
