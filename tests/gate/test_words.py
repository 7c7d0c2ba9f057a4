"""What a report says: the call, the process, its executable, the action, the test, the phase, and what to write."""

import pytest
from denials import denial

from pytest_seccomp.gate import words
from pytest_seccomp.gate.expectations import of_ini
from pytest_seccomp.gate.verdict import FAIL, Verdict
from pytest_seccomp.trace.denials import Denial


def report(*denials: Denial, phase: str = "call", rerun: int = 0, missing: tuple[str, ...] = ()) -> str:
    """That of a phase of a test."""
    return words.report(Verdict("t.py::test_a", phase, rerun, FAIL, denials, missing))


def test_one_denial() -> None:
    assert report(denial()).splitlines() == [
        "seccomp denied socket to curl (errno)",
        "",
        "In the call of t.py::test_a:",
        "    socket: errno, to curl, process 4711, /usr/bin/curl",
        "If it has to be denied, say so above the test:",
        '    @pytest.mark.seccomp_expect_denied("socket")',
    ]


def test_several() -> None:
    bind = denial(syscall=49, name="bind", action="kill_process", comm="python3", exe=None, count=2)
    text = report(denial(), denial(), bind, denial(expected=True, name="mount"), phase="setup", rerun=2)
    assert text.splitlines() == [
        "seccomp denied socket to curl (errno), bind to python3 (kill_process)",
        "",
        "In the setup of t.py::test_a (rerun 2):",
        "    socket, 2 times: errno, to curl, process 4711, /usr/bin/curl",
        "    bind, 2 times: kill_process, to python3, process 4711, an executable that is gone",
        "If it has to be denied, say so above the test:",
        '    @pytest.mark.seccomp_expect_denied("bind", "socket")',
    ]


def test_many_are_a_number_in_the_headline() -> None:
    denials = [denial(name=f"call{number}") for number in range(1000)]
    assert report(*denials).splitlines()[0] == (
        "seccomp denied call0 to curl (errno), call1 to curl (errno), call2 to curl (errno) and 997 more"
    )


def test_processes_that_are_denied_the_same_are_one_line() -> None:
    denials = [denial(pid=pid) for pid in (7, 7, 8, 9, 10, 11)]
    assert list(words.each(denials)) == ["socket, 6 times: errno, to curl, processes 7, 8, 9 and 2 more, /usr/bin/curl"]


def test_what_has_to_come() -> None:
    assert report(missing=("socket", "bind")).splitlines() == [
        "expected denial of socket, bind did not come",
        "",
        "In the call of t.py::test_a:",
        "    no logged denial of socket, bind in setup and call, but strict=True",
    ]


def test_notes_stand_below() -> None:
    lines = report(denial(notes=("see issue 12\nand 13",))).splitlines()
    assert lines[4:6] == ["        see issue 12", "        and 13"]


def test_of_a_sandbox() -> None:
    """There is a way to expect it that is no other program's."""
    for policy in (None, "seccomp.json"):
        found = denial(notes=(words.note_of_sandbox(policy),), name="bind", syscall=49)
        assert report(denial(), found).splitlines()[-4:] == [
            "If it has to be denied, say so above the test:",
            '    @pytest.mark.seccomp_expect_denied("bind", "socket")',
            "or where the sandbox is started:",
            '    expect_denied=["bind"]',
        ]


def test_text_from_outside_stays_text() -> None:
    evil = denial(comm="\x1b[31mred\n", exe="/tmp/\udcff\x07", nodeid="t.py::test_a")
    assert r"\x1b[31mred\n" in report(evil)
    assert r"/tmp/\udcff\x07" in report(evil)
    report(evil).encode("utf-8")


@pytest.mark.parametrize("name", ["socket", None])
def test_what_is_to_be_pasted_does_what_it_says(name: str | None) -> None:
    found = denial(name=name, syscall=41 if name else 9999)
    line = words.to_expect_everywhere([found])
    (expectation,) = of_ini(line.partition(" = ")[2].split())
    assert expectation.is_met_by(found)


@pytest.mark.parametrize(
    ("nodeid", "phase", "text"),
    [
        (None, "collection", "loading conftests and collecting"),
        ("t.py::test_a", "teardown", "the teardown of t.py::test_a"),
        ("t.py::test_a", "late", "after the end of t.py::test_a"),
    ],
)
def test_where(nodeid: str | None, phase: str, text: str) -> None:
    assert words.where(nodeid, phase, 0) == text


def test_the_summary_groups_by_phase() -> None:
    denials = [denial(), denial(phase="late", pid=1), denial(), denial(nodeid="t.py::test_b")]
    assert list(words.by_place(denials)) == [
        "the call of t.py::test_a",
        "    socket, 2 times: errno, to curl, process 4711, /usr/bin/curl",
        "after the end of t.py::test_a",
        "    socket: errno, to curl, process 1, /usr/bin/curl",
        "the call of t.py::test_b",
        "    socket: errno, to curl, process 4711, /usr/bin/curl",
    ]


def test_figures() -> None:
    assert words.figures([]) == "none"
    assert words.figures([denial(count=3), denial(expected=True)]) == "3 unexpected, 1 expected"
    assert words.figures([denial(expected=True)]) == "1 expected"
