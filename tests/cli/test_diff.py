"""`diff`: what is new in a trace, and what has vanished from it."""

import json
from pathlib import Path

import pytest
from commands import Command, Trace
from traces import X86_64, Members, run, spooled_other, spooled_test, write_spool

from pytest_seccomp.trace.store import Destination, write_trace

READ, OPENAT, SOCKET, I386 = 0, 257, 41, 0x40000003


def written(folder: Path, name: str, *lines: Members) -> Path:
    spool = write_spool(folder / f"{name}.spool", lines)
    return write_trace(Destination.check(folder / f"{name}.ndjson"), run(), [spool]).path


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A test reads, and the collection opens files."""
    return written(
        tmp_path,
        "old",
        spooled_test("t.py::a", [[X86_64, READ, {"call": 2}]]),
        spooled_other("collect", {(X86_64, OPENAT): 1}),
    )


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """As before, with a socket in five runs of four tests, and no file in the collection."""
    tests = [spooled_test(f"t.py::{name}", [[X86_64, SOCKET, {"call": 1}]]) for name in "abcdd"]
    return written(tmp_path, "new", spooled_test("t.py::z", [[X86_64, READ, {"call": 9}]]), *tests)


def test_new_calls_with_who_makes_them_and_those_that_have_vanished(command: Command, old: Path, new: Path) -> None:
    result = command("diff", old, new)
    assert (result.status, result.err) == (1, "")
    assert result.out.splitlines()[4:] == [
        "",
        "1 new call, 1 not made any more",
        "   count  tests  system call  made by",
        "+      5      5       socket  t.py::a, t.py::b, t.py::c, 1 more",
        "-      1              openat  ",
    ]


def test_what_has_vanished_alone_is_no_failure(command: Command, old: Path, tmp_path: Path) -> None:
    fewer = written(tmp_path, "fewer", spooled_test("t.py::a", [[X86_64, READ, {"call": 1}]]))
    result = command("diff", old, fewer)
    assert result.status == 0
    assert "0 new calls, 1 not made any more" in result.out


def test_how_often_does_not_matter(command: Command, old: Path, tmp_path: Path) -> None:
    more = written(
        tmp_path,
        "more",
        spooled_test("t.py::b", [[X86_64, READ, {"setup": 200}], [X86_64, OPENAT, {"teardown": 1}]]),
        spooled_other("harness", {(X86_64, SOCKET): 1}),
    )
    result = command("diff", old, more)
    assert result.status == 0
    assert result.out.splitlines()[-1] == "both have the same calls"
    assert command("diff", "--markdown", old, more).out == "No system call is new, and none has vanished.\n"


def test_the_same_number_of_another_architecture_is_another_call(command: Command, old: Path, tmp_path: Path) -> None:
    other = written(
        tmp_path,
        "other",
        spooled_test("t.py::a", [[X86_64, READ, {"call": 1}], [I386, READ, {"call": 1}]]),
        spooled_other("collect", {(X86_64, OPENAT): 1}),
    )
    result = command("diff", old, other)
    assert result.status == 1
    assert "restart_syscall (i386)" in result.out


def test_json(command: Command, old: Path, new: Path) -> None:
    result = command("diff", "--json", old, new)
    assert result.status == 1
    found = json.loads(result.out)
    assert found["complete"] is True
    (call,) = found["new"]
    assert (call["name"], call["count"], call["tests"]) == ("socket", 5, 5)
    assert call["made_by"] == ["t.py::a", "t.py::b", "t.py::c", "t.py::d"]
    assert [record["name"] for record in found["vanished"]] == ["openat"]


def test_markdown(command: Command, old: Path, new: Path) -> None:
    assert command("diff", "--markdown", old, new).out.splitlines() == [
        "**1 new system call**",
        "",
        "| system call | calls | tests | made by |",
        "|---|--:|--:|---|",
        "| `socket` | 5 | 5 | `t.py::a`, `t.py::b`, `t.py::c`, 1 more |",
        "",
        "Not made any more: `openat`",
    ]


@pytest.mark.parametrize(
    ("nodeid", "shown"),
    [
        ("t.py::a[x|y]", r"`t.py::a[x\|y]`"),
        ("t.py::a[`]", "`` t.py::a[`] ``"),
        ("t.py::a[``x`]", "``` t.py::a[``x`] ```"),
        ("t.py::a[\n]", r"`t.py::a[\n]`"),
    ],
)
def test_a_node_id_cannot_break_the_table(command: Command, old: Path, tmp_path: Path, nodeid: str, shown: str) -> None:
    new = written(tmp_path, "new", spooled_test(nodeid, [[X86_64, SOCKET, {"call": 1}]]))
    assert command("diff", "--markdown", old, new).out.splitlines()[4] == f"| `socket` | 1 | 1 | {shown} |"


def test_what_only_collecting_makes_is_of_no_test(command: Command, old: Path, tmp_path: Path) -> None:
    new = written(tmp_path, "new", spooled_test("t.py::a", []), spooled_other("collect", {(X86_64, SOCKET): 2}))
    row = command("diff", "--markdown", old, new).out.splitlines()[4]
    assert row == "| `socket` | 2 | 0 | `(collection)` |"


@pytest.mark.parametrize("order", [("incomplete", "old"), ("old", "incomplete")])
def test_an_incomplete_trace_is_refused_unless_it_is_allowed(
    command: Command, trace: Trace, old: Path, tmp_path: Path, order: tuple[str, str]
) -> None:
    paths = {"old": old, "incomplete": trace("incomplete", complete=False)}
    result = command("diff", *(paths[name] for name in order))
    assert (result.status, result.out) == (2, "")
    assert result.err == (
        f"pytest-seccomp: error: {paths['incomplete']} is incomplete (gw0: the recorder was killed): trace again, or "
        "compare it all the same with --allow-incomplete\n"
    )
    allowed = command("diff", "--allow-incomplete", "--json", *(paths[name] for name in order))
    assert allowed.status in (0, 1)
    assert json.loads(allowed.out)["complete"] is False
    shown = command("diff", "--allow-incomplete", "--markdown", *(paths[name] for name in order)).out
    assert f"`{paths['incomplete']}` is incomplete: `gw0: the recorder was killed`" in shown


def test_a_trace_without_its_tests_file_names_nobody(command: Command, old: Path, new: Path) -> None:
    new.with_name("new.tests.ndjson").unlink()
    assert command("diff", old, new).out.splitlines()[-2:] == [
        "+      5      5       socket  ",
        "-      1              openat  ",
    ]
