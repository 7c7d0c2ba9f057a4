"""The section of the summary about denials."""

from typing import cast

import pytest
from denials import denial

from pytest_seccomp.gate.verdict import FAIL, WARN, SessionVerdict
from pytest_seccomp.plugin.denials import summary


class Terminal:
    """What the section needs of pytest's terminal reporter."""

    def __init__(self, verbosity: int = 0, failed: str = "") -> None:
        self.verbosity = verbosity
        self.stats = {failed: [object()]}
        self.title = ""
        self.colours: set[str] = set()
        self.lines: list[str] = []

    def section(self, title: str, **colours: bool) -> None:
        """Keep the title, and how it is coloured."""
        self.title = title
        self.colours = {name for name, value in colours.items() if value}

    def line(self, text: str) -> None:
        """Keep a line."""
        self.lines.append(text)


def shown(verdict: SessionVerdict, terminal: Terminal, others: tuple[str, ...] = ()) -> Terminal:
    """The terminal, with the section in it."""
    summary.section(cast("pytest.TerminalReporter", terminal), verdict, "audit", ["written: d"], others)
    return terminal


def test_nothing_denied() -> None:
    terminal = shown(SessionVerdict(FAIL, [], []), Terminal())
    assert (terminal.title, terminal.colours) == ("seccomp denials: none (audit)", {"green"})
    assert terminal.lines[0].startswith("no logged denial: ")
    assert terminal.lines[1:] == ["written: d"]


@pytest.mark.parametrize(("mode", "colour"), [(FAIL, "red"), (WARN, "yellow")])
def test_an_unexpected_denial(mode: str, colour: str) -> None:
    terminal = shown(SessionVerdict(mode, [denial(), denial(expected=True)], []), Terminal(failed="failed"))
    assert (terminal.title, terminal.colours) == ("seccomp denials: 1 unexpected, 1 expected (audit)", {colour})
    assert terminal.lines == [
        "the call of t.py::test_a",
        "    socket: errno, to curl, process 4711, /usr/bin/curl",
        "If they have to be denied: mark the tests as their reports say, or write into the ini file:",
        "    seccomp_expected_denials = socket",
        "written: d",
    ]


def test_expected_ones_are_listed_with_v() -> None:
    verdict = SessionVerdict(FAIL, [denial(expected=True)], [])
    assert shown(verdict, Terminal()).lines == ["written: d"]
    assert shown(verdict, Terminal(verbosity=1)).lines == [
        "expected:",
        "the call of t.py::test_a",
        "    socket: errno, to curl, process 4711, /usr/bin/curl",
        "written: d",
    ]


def test_what_may_be_missing() -> None:
    terminal = shown(SessionVerdict(FAIL, [], ["gw0: lost \x1b"]), Terminal())
    assert (terminal.title, terminal.colours) == ("seccomp denials: none (audit, INCOMPLETE)", {"red"})
    assert terminal.lines[1:] == [
        "INCOMPLETE: denials may be missing:",
        "  gw0: lost \\x1b",
        "No test has failed for it, but the session does",
        "written: d",
    ]


@pytest.mark.parametrize("failed", ["failed", "error"])
def test_where_a_test_has_failed_the_session_needs_no_word(failed: str) -> None:
    lines = shown(SessionVerdict(FAIL, [denial()], []), Terminal(failed=failed)).lines
    assert "No test has failed for it, but the session does" not in lines


def test_many_are_cut_but_with_v() -> None:
    verdict = SessionVerdict(FAIL, [denial(nodeid=f"t.py::test_{number}") for number in range(1000)], [])
    lines = shown(verdict, Terminal(failed="failed")).lines
    assert lines[summary.MOST] == "... and 1,950 lines more, which -v shows"
    assert len(lines) < summary.MOST + 10
    assert len(shown(verdict, Terminal(verbosity=1, failed="failed")).lines) > 2000


def test_what_plugins_add_stands_before_the_end() -> None:
    lines = shown(SessionVerdict(FAIL, [], []), Terminal(), ("ours\x07",)).lines
    assert lines[1:] == ["ours\\x07", "written: d"]


@pytest.mark.parametrize(
    ("verdict", "verbosity", "told"),
    [
        (SessionVerdict(FAIL, [], []), 0, True),
        (SessionVerdict(FAIL, [denial(expected=True)], []), -1, False),
        (SessionVerdict(FAIL, [denial()], []), -1, True),
        (SessionVerdict(WARN, [], ["lost"]), -2, True),
    ],
)
def test_quiet(verdict: SessionVerdict, verbosity: int, told: bool) -> None:
    assert summary.is_told(verdict, verbosity) is told


def test_header() -> None:
    assert summary.header("kmsg", ["lossy"], "d", FAIL) == [
        "seccomp: denials from the kernel's log (kmsg), written to d",
        "lossy",
    ]
    assert summary.header("audit", [], "d", WARN) == [
        "seccomp: denials from the kernel's log (audit), none fails a test, written to d"
    ]
