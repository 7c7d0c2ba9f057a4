"""`pytest-seccomp diff`: which system calls a trace has that another has not."""

import argparse
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pytest_seccomp.cli.loading import Loaded, load
from pytest_seccomp.cli.output import terminal_width, write_json, write_lines
from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.records import Line, Record, Untold
from pytest_seccomp.trace.table import number, printable, table
from pytest_seccomp.trace.words import call_text, plural

NEW_CALLS = 1

Key = tuple[str, int]

_NAMED = 3
"""How many of the tests that make a new call are named to people."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    text = "compare two traces: calls that are new, and calls that nobody makes any more"
    parser = commands.add_parser(
        "diff", help=text, description=f"{text.capitalize()}. Exit status 1 where there are new ones."
    )
    parser.add_argument("old", metavar="OLD", type=Path, help="a trace or its tests file")
    parser.add_argument("new", metavar="NEW", type=Path, help="the one to compare with it")
    parser.add_argument("--allow-incomplete", action="store_true", help="compare traces that may lack calls, too")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="as a comment on a pull request")
    form.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    old = _load(arguments.old, _Makers(), allow_incomplete=arguments.allow_incomplete)
    old_records = {(record.arch, record.syscall): record for record in old.totals.records()}
    makers = _Makers(frozenset(old_records))
    new = _load(arguments.new, makers, allow_incomplete=arguments.allow_incomplete)
    new_records = {(record.arch, record.syscall): record for record in new.totals.records()}
    difference = _Difference(
        (old, new),
        [_New(record, list(makers.by_call[key])) for key, record in new_records.items() if key not in old_records],
        [record for key, record in old_records.items() if key not in new_records],
    )
    if arguments.json:
        write_json(difference.members())
    else:
        write_lines(difference.markdown() if arguments.markdown else difference.lines(terminal_width()))
    return NEW_CALLS if difference.new else 0


def _load(path: Path, makers: "_Makers", *, allow_incomplete: bool) -> Loaded:
    loaded = load(path, makers.add)
    if not loaded.totals.complete and not allow_incomplete:
        raise TraceError(
            f"{path} is incomplete ({'; '.join(loaded.reasons)}): trace again, or compare it all the same with "
            "--allow-incomplete"
        )
    return loaded


@dataclass(slots=True)
class _Makers:
    """The tests that make calls which are not in `known`, each once and in the order of the file; nobody's without."""

    known: frozenset[Key] | None = None
    by_call: defaultdict[Key, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, item: Line | Untold, run: int) -> None:
        if self.known is None or not isinstance(item, Line) or item.head.kind == "harness":
            return
        name = item.nodeid if item.head.kind == "test" else "(collection)"
        for call, _ in item.calls:
            if call.key not in self.known:
                self.by_call[call.key][name] = None


@dataclass(slots=True, frozen=True)
class _New:
    """A call that the older trace does not have."""

    record: Record
    made_by: list[str]

    def names(self) -> list[str]:
        """The first of those that make it, and how many there are beside these."""
        more = len(self.made_by) - _NAMED
        return self.made_by[:_NAMED] + ([f"{more:,} more"] if more > 0 else [])


@dataclass(slots=True, frozen=True)
class _Difference:
    traces: tuple[Loaded, Loaded]
    new: list[_New]
    vanished: list[Record]

    def members(self) -> dict[str, object]:
        """For a program."""
        return {
            "complete": all(loaded.totals.complete for loaded in self.traces),
            "new": [{**new.record.members, "made_by": new.made_by} for new in self.new],
            "vanished": [record.members for record in self.vanished],
        }

    def lines(self, width: int | None) -> Iterator[str]:
        """For people."""
        for loaded in self.traces:
            yield from loaded.heading()
        yield ""
        if not self.new and not self.vanished:
            yield "both have the same calls"
            return
        yield f"{plural(len(self.new), 'new call')}, {len(self.vanished):,} not made any more"
        several = self._several_architectures()
        titles = ("", "count", "tests", "system call", "made by")
        rows = [("+", *_counts(new.record), _call(new.record, several), ", ".join(new.names())) for new in self.new] + [
            ("-", *_counts(record), _call(record, several), "") for record in self.vanished
        ]
        yield from table(titles, rows, width, ("tests",))

    def markdown(self) -> Iterator[str]:
        """For a pull request."""
        if not self.new and not self.vanished:
            yield "No system call is new, and none has vanished."
        several = self._several_architectures()
        if self.new:
            yield f"**{plural(len(self.new), 'new system call')}**"
            yield ""
            yield "| system call | calls | tests | made by |"
            yield "|---|--:|--:|---|"
            for new in self.new:
                names = [_code(name) if name in new.made_by else name for name in new.names()]
                cells = [_code(_call(new.record, several)), *_counts(new.record), ", ".join(names)]
                yield f"| {' | '.join(cells)} |"
        if self.vanished:
            yield from ("",) if self.new else ()
            yield f"Not made any more: {', '.join(_code(_call(record, several)) for record in self.vanished)}"
        for loaded in self.traces:
            if not loaded.totals.complete:
                yield ""
                yield f"{_code(str(loaded.source.files[0]))} is incomplete: {'; '.join(map(_code, loaded.reasons))}"

    def _several_architectures(self) -> bool:
        return len({record.arch for loaded in self.traces for record in loaded.totals.records()}) > 1


def _counts(record: Record) -> tuple[str, str]:
    return number(record.count), number(record.tests)


def _call(record: Record, several: bool) -> str:
    return call_text(record.syscall, record.name, record.arch if several else None)


def _code(text: str) -> str:
    """As code in a table of Markdown: within more backticks than the text has in a row, and without a bar that would
    end the cell. Source: GitHub Flavored Markdown, code spans and tables."""
    shown = printable(text).replace("|", "\\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    pad = " " if "`" in shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"
