"""`pytest-seccomp show`: a table of a trace, by call or by test."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from pytest_seccomp.cli.loading import Loaded, head_members, load, title
from pytest_seccomp.cli.output import terminal_width, write_json, write_lines
from pytest_seccomp.cli.result_file import result_file
from pytest_seccomp.errors import SeccompError, TraceError
from pytest_seccomp.trace.counts import PHASES
from pytest_seccomp.trace.phases import PhaseSums, of_line
from pytest_seccomp.trace.records import Head, Line, Record, Untold
from pytest_seccomp.trace.table import number, table
from pytest_seccomp.trace.words import PHASES_GIVE_WAY, by_count, calls_table


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    text = "show a trace as a table, by call or by test"
    parser = commands.add_parser("show", help=text, description=f"{text.capitalize()}, the most frequent first.")
    parser.add_argument("trace", metavar="TRACE", type=Path, help="a trace or its tests file")
    parser.add_argument("--by-test", action="store_true", help="a row for each run of a test (default: for each call)")
    parser.add_argument("--sort", choices=("count", "name"), default="count", help="what to sort by (default: count)")
    parser.add_argument("--json", action="store_true", help="for programs")
    html = "write a page to look at with a browser in place of a table"
    parser.add_argument("--html", metavar="PAGE", type=Path, help=html)
    parser.add_argument("--denials", metavar="DENY_LOG", type=Path, help="a deny log whose denials the page is to show")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    if arguments.html is not None:
        return _write_page(arguments)
    if arguments.denials is not None:
        raise SeccompError("--denials is for a page: name one with --html")
    view = _Tests(arguments.sort) if arguments.by_test else _Calls(arguments.sort)
    loaded = load(arguments.trace, view.add)
    if arguments.by_test:
        _check_tests(loaded)
    if arguments.json:
        write_json({**loaded.members(), **view.members(loaded)})
    else:
        last = [] if loaded.totals.complete else ["INCOMPLETE, see above"]
        write_lines(chain(loaded.heading(), [""], view.lines(loaded, terminal_width()), last))
    return 0


def _check_tests(loaded: Loaded) -> None:
    if loaded.source.tests is None:
        message = f"{loaded.source.path} does not say what each test called, and its tests file is not beside it"
        raise TraceError(f"{message}: name a trace that has both")


def _write_page(arguments: argparse.Namespace) -> int:
    from pytest_seccomp.cli.report.writing import Page
    from pytest_seccomp.trace.lock import locked
    from pytest_seccomp.trace.replacement import replacing_one

    inputs = [path for path in (arguments.trace, arguments.denials) if path is not None]
    real, lock = result_file(arguments.html, "a page", inputs, begins=b"<!doctype html>")
    with locked(lock), replacing_one(real) as file:
        page = Page(file)
        loaded = load(arguments.trace, page.add)
        _check_tests(loaded)
        page.end(loaded, arguments.denials)
    if arguments.json:
        write_json({"path": str(arguments.html), **loaded.members()})
    else:
        write_lines([*loaded.heading(), f"written to {arguments.html}"])
    return 0


class _Calls:
    """A row for each call."""

    def __init__(self, sort: str) -> None:
        self._phases = PhaseSums()
        self._sort = sort

    def add(self, item: Line | Untold, run: int) -> None:
        if isinstance(item, Line):
            self._phases.add(item)

    def _records(self, loaded: Loaded) -> list[Record]:
        records = loaded.totals.records()
        if self._sort == "count":
            return by_count(records)
        return sorted(records, key=lambda record: (record.name is None, record.name, record.arch, record.syscall))

    def members(self, loaded: Loaded) -> dict[str, Any]:
        """For a program."""
        by_key = self._phases.by_key()
        calls = []
        for record in self._records(loaded):
            phases = by_key.get((record.arch, record.syscall), [0] * len(PHASES))
            calls.append({**record.members, "phases": dict(zip(PHASES, phases, strict=True))})
        return {"calls": calls}

    def lines(self, loaded: Loaded, width: int | None) -> Iterator[str]:
        """For people. Where the tests file is missing, the phases are not known."""
        phases = self._phases.by_key() if loaded.source.tests is not None else None
        return calls_table(self._records(loaded), phases, width)


@dataclass(slots=True)
class _Test:
    """What a test called, in numbers."""

    head: Head
    nodeid: str
    run: int
    count: int
    distinct: int
    phases: list[int]

    def members(self) -> dict[str, Any]:
        return {
            **head_members(self.head, self.nodeid, self.run),
            "count": self.count,
            "distinct": self.distinct,
            "phases": dict(zip(PHASES, self.phases, strict=True)),
        }


class _Tests:
    """A row for each run of a test, and one for each collection and harness at the end."""

    def __init__(self, sort: str) -> None:
        self._tests: list[_Test] = []
        self._sort = sort

    def add(self, item: Line | Untold, run: int) -> None:
        if isinstance(item, Line):
            count = sum(counts.count for _, counts in item.calls)
            self._tests.append(_Test(item.head, item.nodeid, run, count, len(item.calls), of_line(item)))

    def _sorted(self) -> list[_Test]:
        def order(test: _Test) -> tuple[bool, int, str, int, int]:
            count = test.count if self._sort == "count" else 0
            return test.head.kind != "test", -count, test.nodeid, test.run, test.head.rerun

        return sorted(self._tests, key=order)

    def members(self, loaded: Loaded) -> dict[str, Any]:
        """For a program."""
        return {"tests": [test.members() for test in self._sorted()]}

    def lines(self, loaded: Loaded, width: int | None) -> Iterator[str]:
        """For people."""
        titles = ("count", "distinct", *PHASES, "outcome", "run", "test")
        rows = (
            (
                number(test.count),
                number(test.distinct),
                *map(number, test.phases),
                test.head.outcome or "",
                loaded.run_text(test.run),
                title(test.head, test.nodeid),
            )
            for test in self._sorted()
        )
        yield from table(titles, rows, width, ("distinct", *PHASES_GIVE_WAY, "outcome", "run"))
        yield from loaded.legend(test.run for test in self._tests)
