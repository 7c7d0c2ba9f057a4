"""Who makes the calls that a command points at, and tables of such calls."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_seccomp.cli.loading import Loaded, load
from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.counts import Call
from pytest_seccomp.trace.records import Line, Record, Untold
from pytest_seccomp.trace.table import number, printable
from pytest_seccomp.trace.words import call_text

_NAMED = 3
"""How many of the tests that make a call are named to people."""


@dataclass(slots=True)
class Makers:
    """Collects, of the lines of a trace, the tests that make the calls for which `wanted` says so: each once, in the
    order of the file."""

    wanted: Callable[[Call], bool]
    _by_call: defaultdict[tuple[str, int], dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    _known: dict[Call, bool] = field(default_factory=dict)

    def add(self, item: Line | Untold, run: int) -> None:
        """Take a line."""
        if not isinstance(item, Line) or item.head.kind == "harness":
            return
        name = item.nodeid if item.head.kind == "test" else "(collection)"
        for call, _ in item.calls:
            wanted = self._known.get(call)
            if wanted is None:
                wanted = self._known[call] = self.wanted(call)
            if wanted:
                self._by_call[call.key][name] = None

    def of(self, record: Record) -> "Made":
        """The record with those that make its call."""
        return Made(record, list(self._by_call[record.arch, record.syscall]))


@dataclass(slots=True, frozen=True)
class Made:
    """A call, and the tests that make it."""

    record: Record
    made_by: list[str]

    @property
    def members(self) -> dict[str, Any]:
        """For a program."""
        return {**self.record.members, "made_by": self.made_by}

    def names(self) -> list[str]:
        """For people: the first of those that make it, and how many there are beside these."""
        more = len(self.made_by) - _NAMED
        return self.made_by[:_NAMED] + ([f"{more:,} more"] if more > 0 else [])

    def cells(self, *, several_architectures: bool) -> tuple[str, str, str, str]:
        """Of a table: count, tests, call, made by."""
        count, tests, call = record_cells(self.record, several_architectures=several_architectures)
        return count, tests, call, ", ".join(self.names())


def record_cells(record: Record, *, several_architectures: bool) -> tuple[str, str, str]:
    """Of a table: count, tests, call."""
    arch = record.arch if several_architectures else None
    return number(record.count), number(record.tests), call_text(record.syscall, record.name, arch)


def markdown_table(made: Iterable[Made], *, several_architectures: bool) -> Iterator[str]:
    """A table of calls for a pull request."""
    yield "| system call | calls | tests | made by |"
    yield "|---|--:|--:|---|"
    for one in made:
        names = [code(name) if name in one.made_by else name for name in one.names()]
        count, tests, call, _ = one.cells(several_architectures=several_architectures)
        yield f"| {code(call)} | {count} | {tests or 0} | {', '.join(names)} |"


def code(text: str) -> str:
    """As code in a table of Markdown: within more backticks than the text has in a row, and without a bar that would
    end the cell. Source: GitHub Flavored Markdown, code spans and tables."""
    shown = printable(text).replace("|", "\\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    pad = " " if "`" in shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def load_to_compare(path: Path, makers: Makers, *, allow_incomplete: bool) -> Loaded:
    """Read a trace of which it matters what is not in it. TraceError where it is incomplete and that is not allowed."""
    loaded = load(path, makers.add)
    if not loaded.totals.complete and not allow_incomplete:
        raise TraceError(
            f"{path} is incomplete ({'; '.join(loaded.reasons)}): trace again, or compare it all the same with "
            "--allow-incomplete"
        )
    return loaded
