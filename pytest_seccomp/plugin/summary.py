"""What the user reads: a line in the header, and a section at the end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_seccomp.linux import process
from pytest_seccomp.trace.store import Written
from pytest_seccomp.trace.table import printable
from pytest_seccomp.trace.words import by_count, calls_table, in_words

_NO_NEW_PRIVS = "; no_new_privs is set: programs such as sudo and ping do not gain privileges"


def header(backend: str, notes: list[str], place: str | None, *, append: bool) -> list[str]:
    """The lines below pytest's own in the header; `place` is None where no trace is written."""
    text = f"seccomp: backend {backend}"
    if place is not None:
        text += f", trace {'added ' if append else ''}to {place}"
    if backend != "ebpf" and not process.has_capability(process.CAP_SYS_ADMIN):  # that one installs no filter
        text += _NO_NEW_PRIVS
    return [text, *(printable(f"seccomp: {note}") for note in notes)]


def written(terminal: "pytest.TerminalReporter", backend: str, written: Written, place: Callable[[Path], str]) -> None:
    """What was recorded, where it is, and what is missing. Nothing under -q, unless something is missing. `place` says
    how to show a path."""
    quiet, verbose = terminal.verbosity < 0, terminal.verbosity > 0
    if quiet and written.complete and not written.replaced_other:
        return
    state = "complete" if written.complete else "INCOMPLETE"
    terminal.section(f"system calls: {backend}, {state}", green=written.complete, red=not written.complete)
    figures = written.figures
    terminal.line(f"{in_words(figures)}; {figures.harness:,} in the harness, left out")
    if not written.complete:
        terminal.line("INCOMPLETE: calls may be missing:")
        for reason in written.reasons:
            terminal.line(f"  {printable(reason)}")
    path = place(written.path)
    if written.replaced_other:
        terminal.line(f"{path} was written by another run meanwhile, which this one has replaced")
    if verbose:
        for line in calls_table(by_count(written.records)):
            terminal.line(line)
    terminal.line(f"written: {path}, {place(written.tests)}")


def unwritten(terminal: "pytest.TerminalReporter", lines: list[str]) -> None:
    """That there is no trace. One line is for a run without a test; where something went wrong, more say what."""
    if len(lines) == 1:
        terminal.line(f"seccomp: {lines[0]}")
        return
    terminal.section("system calls: NOT WRITTEN", red=True)
    for line in lines:
        terminal.line(printable(line))
