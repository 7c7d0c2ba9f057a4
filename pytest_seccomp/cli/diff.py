"""`pytest-seccomp diff`: which system calls a trace has that another has not."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_seccomp.cli.loading import Loaded
from pytest_seccomp.cli.makers import Made, Makers, code, load_to_compare, markdown_table, record_cells
from pytest_seccomp.cli.output import terminal_width, write_json, write_lines
from pytest_seccomp.trace.records import Record
from pytest_seccomp.trace.table import table
from pytest_seccomp.trace.words import plural

NEW_CALLS = 1


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
    nobody = Makers(lambda _call: False)
    old = load_to_compare(arguments.old, nobody, allow_incomplete=arguments.allow_incomplete)
    old_records = {(record.arch, record.syscall): record for record in old.totals.records()}
    makers = Makers(lambda call: call.key not in old_records)
    new = load_to_compare(arguments.new, makers, allow_incomplete=arguments.allow_incomplete)
    new_records = {(record.arch, record.syscall): record for record in new.totals.records()}
    difference = _Difference(
        (old, new),
        [makers.of(record) for key, record in new_records.items() if key not in old_records],
        [record for key, record in old_records.items() if key not in new_records],
    )
    if arguments.json:
        write_json(difference.members())
    else:
        write_lines(difference.markdown() if arguments.markdown else difference.lines(terminal_width()))
    return NEW_CALLS if difference.new else 0


@dataclass(slots=True, frozen=True)
class _Difference:
    traces: tuple[Loaded, Loaded]
    new: list[Made]
    vanished: list[Record]

    def members(self) -> dict[str, object]:
        """For a program."""
        return {
            "complete": all(loaded.totals.complete for loaded in self.traces),
            "new": [new.members for new in self.new],
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
        rows = [("+", *new.cells(several_architectures=several)) for new in self.new]
        rows += [("-", *record_cells(record, several_architectures=several), "") for record in self.vanished]
        yield from table(titles, rows, width, ("tests",))

    def markdown(self) -> Iterator[str]:
        """For a pull request."""
        if not self.new and not self.vanished:
            yield "No system call is new, and none has vanished."
        several = self._several_architectures()
        if self.new:
            yield f"**{plural(len(self.new), 'new system call')}**"
            yield ""
            yield from markdown_table(self.new, several_architectures=several)
        if self.vanished:
            yield from ("",) if self.new else ()
            calls = (record_cells(record, several_architectures=several)[2] for record in self.vanished)
            yield f"Not made any more: {', '.join(map(code, calls))}"
        for loaded in self.traces:
            if not loaded.totals.complete:
                yield ""
                yield f"{code(str(loaded.source.files[0]))} is incomplete: {'; '.join(map(code, loaded.reasons))}"

    def _several_architectures(self) -> bool:
        return len({record.arch for loaded in self.traces for record in loaded.totals.records()}) > 1
