"""What the user reads: a line in the header, and a section at the end."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pytest_seccomp.gate.additions import additions
from pytest_seccomp.gate.allowed import Allowed
from pytest_seccomp.gate.findings import UPDATE, shortened, to_add
from pytest_seccomp.plugin.profiles.options import ProfileOptions
from pytest_seccomp.trace.records import Record
from pytest_seccomp.trace.table import printable
from pytest_seccomp.trace.words import plural

if TYPE_CHECKING:
    from pytest_seccomp.plugin.profiles.owner import Judged

MOST = 20
"""Calls that nobody makes any more which are named without -v."""


def header(options: ProfileOptions, allowed: Allowed | None) -> list[str]:
    """The lines below pytest's own in the header."""
    if allowed is None:
        return [f"seccomp: the profile {printable(options.shown)} will be made from what the tests call"]
    what = "what the tests call and it does not allow is added to" if options.updates else "tests are judged by"
    collection = ", and what collecting calls" if options.collection else ""
    return [
        f"seccomp: {what} {printable(options.shown)}{collection}",
        *(f"seccomp: {printable(warning)}" for warning in allowed.warnings),
    ]


def section(
    terminal: "pytest.TerminalReporter", judged: "Judged", options: ProfileOptions, allowed: Allowed | None
) -> None:
    """What was called outside the profile, or was added to it; what of it nobody calls any more; why it fails. Under -q
    only where something is wrong or was added."""
    quiet, verbose = terminal.verbosity < 0, terminal.verbosity > 0
    if quiet and not judged.fails and not judged.added and not judged.by_failed:
        return
    title = f"seccomp profile {printable(options.shown)}: {_state(judged)}"
    doubtful = bool(judged.by_failed) and not judged.fails
    terminal.section(title, red=judged.fails, yellow=doubtful, green=not judged.fails and not doubtful)
    for line in _lines(judged, options, allowed, verbose=verbose):
        terminal.line(line)
    if judged.fails and not (terminal.stats.get("failed") or terminal.stats.get("error")):
        terminal.line("No test has failed for it, but the session does")


def in_short(judged: "Judged", options: ProfileOptions) -> list[str]:
    """What must be said where there is no terminal: that and why the session fails."""
    if not judged.fails:
        return []
    reasons = [*([judged.error] if judged.error is not None else []), *judged.reasons]
    return [f"profile {options.shown}: {'; '.join([_state(judged), *reasons])}"]


def _state(judged: "Judged") -> str:
    if judged.error is not None or (judged.added is not None and judged.reasons):
        return "NOT UPDATED" if judged.added is not None else "NOT JUDGED"
    if judged.added is not None:
        return f"{plural(len(judged.added.texts), 'line')} added" if judged.added else "nothing to add"
    state = f"{plural(len(judged.outside), 'call')} outside" if judged.outside else "nothing outside"
    return f"{state}{', INCOMPLETE' if judged.reasons else ''}"


def _lines(judged: "Judged", options: ProfileOptions, allowed: Allowed | None, *, verbose: bool) -> Iterator[str]:
    shown = printable(options.shown)
    if judged.error is not None:
        yield printable(judged.error)
    if judged.reasons:
        left = "not made" if allowed is None else "left as it was"
        updating = f", so that {shown} is {left}" if judged.added is not None else ""
        yield f"INCOMPLETE: calls may be missing{updating}:"
        yield from (f"  {printable(reason)}" for reason in judged.reasons)
    if judged.added is None:
        yield from _outside(judged, allowed, shown)
    else:
        yield from (f"+ {text}" for text in judged.added.texts)
        for record, reason in judged.added.refused:
            yield f"{record.name or record.syscall} ({record.arch}) cannot be added: {reason}"
        if judged.by_failed and judged.error is None:
            named = ", ".join(map(_named, judged.by_failed))
            yield f"not added, because only tests made them that have failed: {named}"
    if judged.unused:
        yield f"{plural(len(judged.unused), 'call')} of {shown} that these tests did not make:"
        yield from (f"  {line}" for line in shortened(judged.unused, None if verbose else MOST))


def _outside(judged: "Judged", allowed: Allowed | None, shown: str) -> Iterator[str]:
    if not judged.outside or allowed is None:
        return
    for record in judged.outside:
        makers = judged.makers[record.arch, record.syscall]
        for line in to_add(makers.first, allowed):
            yield f"{line}{_others(makers.runs - 1)}"
    if additions(allowed, judged.outside):
        yield f"If that is right, run with {UPDATE}, or add these lines to {shown}"


def _others(runs: int) -> str:
    return f" and {plural(runs, 'other run')} of tests" if runs > 0 else ""


def _named(record: Record) -> str:
    return record.name or f"{record.arch}:{record.syscall}"
