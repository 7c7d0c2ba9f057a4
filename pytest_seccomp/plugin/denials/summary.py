"""What the user reads: a line in the header, and a section at the end."""

from collections.abc import Sequence

import pytest

from pytest_seccomp.gate import words
from pytest_seccomp.gate.verdict import FAIL, SessionVerdict
from pytest_seccomp.recorder.watching import SUPERVISED
from pytest_seccomp.trace.denials import Denial
from pytest_seccomp.trace.table import printable

MOST = 50
"""Lines of denials that are shown without -v."""

_UNSEEN = (
    "no logged denial: what a filter denies with an error, and without SECCOMP_FILTER_FLAG_LOG, as Docker's own does, "
    "is logged by nobody"
)


def header(source: str, notes: Sequence[str], place: str, mode: str) -> list[str]:
    """The lines below pytest's own in the header."""
    warns = "" if mode == FAIL else ", none fails a test"
    by = "by sandboxes and policies of tests" if source == SUPERVISED else f"from the kernel's log ({source})"
    return [f"seccomp: denials {by}{warns}, written to {place}", *notes]


def is_told(verdict: SessionVerdict, verbosity: int) -> bool:
    """Whether there is a section: under -q only where something is wrong."""
    return verbosity >= 0 or bool(verdict.unexpected or verdict.reasons)


def section(
    terminal: "pytest.TerminalReporter",
    verdict: SessionVerdict,
    source: str,
    ending: Sequence[str],
    others: Sequence[str],
) -> None:
    """What was denied, what may be missing, and where it is. `others` is what plugins add, `ending` comes last."""
    bad, state = bool(verdict.unexpected or verdict.reasons), ", INCOMPLETE" if verdict.reasons else ""
    title = f"seccomp denials: {words.figures(verdict.denials)} ({source}{state})"
    terminal.section(title, red=verdict.fails, yellow=bad and not verdict.fails, green=not bad)
    if not verdict.denials and source != SUPERVISED:
        terminal.line(_UNSEEN)
    _list(terminal, verdict.unexpected)
    if verdict.unexpected:
        terminal.line("If they have to be denied: mark the tests as their reports say, or write into the ini file:")
        terminal.line(f"    {words.to_expect_everywhere(verdict.unexpected)}")
    expected = [denial for denial in verdict.denials if denial.expected]
    if expected and terminal.verbosity > 0:
        terminal.line("expected:")
        _list(terminal, expected)
    if verdict.reasons:
        terminal.line("INCOMPLETE: denials may be missing:")
        for reason in verdict.reasons:
            terminal.line(f"  {printable(reason)}")
    if verdict.fails and not (terminal.stats.get("failed") or terminal.stats.get("error")):
        terminal.line("No test has failed for it, but the session does")
    for line in (*others, *ending):
        terminal.line(printable(line))


def _list(terminal: "pytest.TerminalReporter", denials: Sequence[Denial]) -> None:
    lines = list(words.by_place(denials))
    shown = lines if terminal.verbosity > 0 else lines[:MOST]
    for line in shown:
        terminal.line(line)
    if len(shown) < len(lines):
        terminal.line(f"... and {len(lines) - len(shown):,} lines more, which -v shows")
