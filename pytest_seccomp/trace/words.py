"""A trace in words and as a table, the same in the commands and in pytest's summary."""

from collections.abc import Iterator, Mapping, Sequence

from pytest_seccomp.trace.counts import PHASES
from pytest_seccomp.trace.records import Record
from pytest_seccomp.trace.table import number, table
from pytest_seccomp.trace.totals import Figures

PHASES_GIVE_WAY = ("shared", "teardown", "setup", "call")
"""In which order the columns of the phases go where the terminal is too narrow."""


def in_words(figures: Figures, runs: int = 0) -> str:
    """A trace in one line. `runs` is 0 where that is not known or goes without saying."""
    parts = [plural(runs, "run")] if runs else []
    if figures.tests or not figures.untold:
        parts.append(plural(figures.tests, "test"))
    if figures.untold:
        parts.append(f"{plural(figures.untold, 'trace')} without a tests file")
    return (
        f"{', '.join(parts)}, {plural(figures.in_tests + figures.collection, 'call')} of "
        f"{plural(figures.distinct, 'kind')}: {figures.in_tests:,} in tests, {figures.collection:,} in collection"
    )


def plural(count: int, noun: str) -> str:
    """ "1 test", "2 tests"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def by_count(records: Sequence[Record]) -> list[Record]:
    """The most frequent first; those that are as frequent by architecture and number."""
    return sorted(records, key=lambda record: (-record.count, record.arch, record.syscall))


def calls_table(
    records: Sequence[Record],
    phases: Mapping[tuple[str, int], Sequence[int]] | None = None,
    width: int | None = None,
) -> Iterator[str]:
    """A row for each record, in the order given. `phases` are counts in the order of PHASES by architecture and number;
    None where they are not known. `width` is that of the terminal; None where there is none.
    """
    several = len({record.arch for record in records}) > 1
    titles = ("count", "tests", *(PHASES if phases is not None else ()), "collection", "system call")
    rows = (
        (
            number(record.count),
            number(record.tests),
            *(map(number, phases.get((record.arch, record.syscall), [0] * len(PHASES))) if phases is not None else ()),
            number(record.collection),
            call_text(record.syscall, record.name, record.arch if several else None),
        )
        for record in records
    )
    return table(titles, rows, width, (*PHASES_GIVE_WAY, "collection", "tests"))


def call_text(syscall: int, name: str | None, arch: str | None) -> str:
    """How a call is named in a table; `arch` is None where all calls are of one."""
    return f"{name or syscall}{f' ({arch})' if arch else ''}"
