"""`pytest-seccomp show`: a table of a trace, by call or by test."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_seccomp.cli.loading import Loaded, call_text, load
from pytest_seccomp.cli.output import terminal_width, write_json, write_lines
from pytest_seccomp.cli.table import number, table
from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.phases import PhaseSums, of_line
from pytest_seccomp.trace.records import PHASES, Head, Line, Record, Untold


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    text = "show a trace as a table, by call or by test"
    parser = commands.add_parser("show", help=text, description=f"{text.capitalize()}, the most frequent first.")
    parser.add_argument("trace", metavar="TRACE", type=Path, help="a trace or its tests file")
    parser.add_argument("--by-test", action="store_true", help="a row for each run of a test (default: for each call)")
    parser.add_argument("--sort", choices=("count", "name"), default="count", help="what to sort by (default: count)")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    view = _Tests(arguments.sort) if arguments.by_test else _Calls(arguments.sort)
    loaded = load(arguments.trace, view.add)
    if arguments.by_test and loaded.source.tests is None:
        message = f"{arguments.trace} does not say what each test called, and its tests file is not beside it"
        raise TraceError(f"{message}: name a trace that has both")
    if arguments.json:
        write_json({**loaded.members(), **view.members(loaded)})
    else:
        last = [] if loaded.totals.complete else ["INCOMPLETE, see above"]
        write_lines([*loaded.heading(), "", *view.lines(loaded, terminal_width()), *last])
    return 0


class _Calls:
    """A row for each call."""

    def __init__(self, sort: str) -> None:
        self._phases = PhaseSums()
        self._sort = sort

    def add(self, item: Line | Untold) -> None:
        if isinstance(item, Line):
            self._phases.add(item)

    def _records(self, loaded: Loaded) -> Iterator[tuple[Record, list[int]]]:
        by_key = self._phases.by_key()
        records = loaded.totals.records()
        if self._sort == "count":
            records.sort(key=lambda record: -record.count)
        else:
            records.sort(key=lambda record: (record.name is None, record.name, record.arch, record.syscall))
        for record in records:
            yield record, by_key.get((record.arch, record.syscall), [0] * len(PHASES))

    def members(self, loaded: Loaded) -> dict[str, Any]:
        """For a program."""
        return {
            "calls": [
                {**record.members, "phases": dict(zip(PHASES, phases, strict=True))}
                for record, phases in self._records(loaded)
            ]
        }

    def lines(self, loaded: Loaded, width: int | None) -> Iterator[str]:
        """For people. Where the tests file is missing, the phases are not known."""
        known = loaded.source.tests is not None
        titles = ("count", "tests", *(PHASES if known else ()), "collection", "system call")
        rows = [
            (
                number(record.count),
                number(record.tests),
                *(map(number, phases) if known else ()),
                number(record.collection),
                call_text(record.syscall, record.name, record.arch),
            )
            for record, phases in self._records(loaded)
        ]
        return table(titles, rows, width)


@dataclass(slots=True)
class _Test:
    """What a test called, in numbers."""

    head: Head
    nodeid: str
    count: int
    distinct: int
    phases: list[int]

    def members(self) -> dict[str, Any]:
        return {
            "kind": self.head.kind,
            "nodeid": self.nodeid or None,
            "worker": self.head.worker,
            "rerun": self.head.rerun,
            "outcome": self.head.outcome,
            "complete": self.head.complete,
            "count": self.count,
            "distinct": self.distinct,
            "phases": dict(zip(PHASES, self.phases, strict=True)),
        }


class _Tests:
    """A row for each run of a test, and one for each collection and harness at the end."""

    def __init__(self, sort: str) -> None:
        self._tests: list[_Test] = []
        self._sort = sort

    def add(self, item: Line | Untold) -> None:
        if isinstance(item, Line):
            count = sum(counts.count for _, counts in item.calls)
            self._tests.append(_Test(item.head, item.nodeid, count, len(item.calls), of_line(item)))

    def _sorted(self) -> list[_Test]:
        def order(test: _Test) -> tuple[bool, int, str, int]:
            return test.head.kind != "test", -test.count if self._sort == "count" else 0, test.nodeid, test.head.rerun

        return sorted(self._tests, key=order)

    def members(self, loaded: Loaded) -> dict[str, Any]:
        """For a program."""
        return {"tests": [test.members() for test in self._sorted()]}

    def lines(self, loaded: Loaded, width: int | None) -> Iterator[str]:
        """For people."""
        titles = ("count", "distinct", *PHASES, "outcome", "test")
        rows = [
            (
                number(test.count),
                number(test.distinct),
                *map(number, test.phases),
                _outcome(test.head),
                title(test.head, test.nodeid),
            )
            for test in self._sorted()
        ]
        return table(titles, rows, width)


def title(head: Head, nodeid: str) -> str:
    """How a line of the tests file is called in a table."""
    if head.kind != "test":
        return f"({head.kind}{f', {head.worker}' if head.worker else ''})"
    rerun = f" (rerun {head.rerun})" if head.rerun else ""
    return f"{nodeid}{rerun}{'' if head.complete else ' (INCOMPLETE)'}"


def _outcome(head: Head) -> str:
    if head.kind != "test":
        return ""
    return head.outcome or "died"
