"""`pytest-seccomp why`: which tests make a system call, how often, and in which phase."""

import argparse
import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_seccomp.cli.loading import Loaded, call_text, load, plural
from pytest_seccomp.cli.output import terminal_width, write_json, write_lines
from pytest_seccomp.cli.show import title
from pytest_seccomp.cli.table import number, table
from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux import syscalls
from pytest_seccomp.trace.records import PHASES, Call, Head, Line, Untold

NOBODY = 1


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    text = "name the tests that make a system call"
    parser = commands.add_parser(
        "why", help=text, description=f"{text.capitalize()}, with phases and counts. Exit status 1 where none does."
    )
    parser.add_argument("call", metavar="CALL", help="its name or number, or with its architecture: i386:socketcall")
    parser.add_argument("trace", metavar="TRACE", type=Path, help="a trace or its tests file")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    wanted = Wanted.parse(arguments.call)
    answer = _Answer(wanted)
    loaded = load(arguments.trace, answer.add)
    if not answer.makers:
        _check_known(wanted, arguments.call, (record.name for record in loaded.totals.records()))
    makers = sorted(answer.makers, key=lambda maker: (maker.order, -maker.count))
    if arguments.json:
        write_json({**loaded.members(), "call": arguments.call, "made_by": [maker.members() for maker in makers]})
    else:
        write_lines([*loaded.heading(), "", *_lines(makers, arguments.call, loaded)])
    return 0 if any(maker.counts_in_trace for maker in makers) else NOBODY


@dataclass(slots=True, frozen=True)
class Wanted:
    """The call that a user means: by name or by number, of one architecture or of any."""

    arch: str | None
    name: str | None
    number: int | None

    @classmethod
    def parse(cls, text: str) -> "Wanted":
        """From `openat`, `257`, `0x101`, `x86_64:257` or `i386:socketcall`; SeccompError for an unknown `i386`."""
        arch, colon, call = text.rpartition(":")
        if colon:
            try:
                syscalls.audit_arch_of(arch)
            except ValueError as error:
                raise SeccompError(f"{error}: name one as in x86_64:257, or leave it out") from None
        if re.fullmatch("-?[0-9]+", call):
            return cls(arch or None, None, int(call))
        if re.fullmatch("0x[0-9a-fA-F]+", call):
            return cls(arch or None, None, int(call, 16))
        return cls(arch or None, call, None)

    def is_met_by(self, call: Call) -> bool:
        """Whether it is that call."""
        if self.arch is not None and call.arch != self.arch:
            return False
        return call.name == self.name if self.number is None else call.number == self.number


@dataclass(slots=True)
class _Maker:
    """Who made the call: a test, a collection, a harness, or (`head` is None) tests without a name."""

    head: Head | None
    nodeid: str
    call: Call
    count: int
    phases: list[int]

    @property
    def order(self) -> int:
        """Tests before all others."""
        return ("test", None, "collect", "harness").index(self.head and self.head.kind)

    @property
    def counts_in_trace(self) -> bool:
        return self.head is None or self.head.kind != "harness"

    @property
    def title(self) -> str:
        return title(self.head, self.nodeid) if self.head else self.nodeid

    def members(self) -> dict[str, Any]:
        head = self.head
        return {
            "kind": head.kind if head else "trace",
            "nodeid": self.nodeid if head and head.kind == "test" else None,
            "worker": head.worker if head else None,
            "rerun": head.rerun if head else None,
            "outcome": head.outcome if head else None,
            "complete": head.complete if head else None,
            "syscall": self.call.number,
            "name": self.call.name,
            "arch": self.call.arch,
            "count": self.count,
            "phases": dict(zip(PHASES, self.phases, strict=True)),
        }


class _Answer:
    """Collects who made the call."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._is_met: dict[Call, bool] = {}
        self.makers: list[_Maker] = []

    def add(self, item: Line | Untold) -> None:
        if isinstance(item, Untold):
            self._add_untold(item)
            return
        for call, counts in item.calls:
            is_met = self._is_met.get(call)
            if is_met is None:
                is_met = self._is_met[call] = self._wanted.is_met_by(call)
            if is_met:
                self.makers.append(_Maker(item.head, item.nodeid, call, counts.count, counts.by_phase))

    def _add_untold(self, untold: Untold) -> None:
        for record in untold.records:
            call = Call(record.arch, record.syscall, record.name)
            if self._wanted.is_met_by(call):
                text = (
                    f"({plural(record.tests, 'test')}, {record.collection:,} in collection: no tests file to name them)"
                )
                self.makers.append(_Maker(None, text, call, record.count, [0] * len(PHASES)))


def _lines(makers: list[_Maker], call: str, loaded: Loaded) -> Iterable[str]:
    if not makers:
        missing = "" if loaded.totals.complete else ", as far as this incomplete trace can tell"
        return [f"nobody made {call}{missing}"]
    calls = {maker.call.key: call_text(maker.call.number, maker.call.name, maker.call.arch) for maker in makers}
    several = len(calls) > 1  # the same name on two architectures
    rows = [
        (number(maker.count), *map(number, maker.phases), calls[maker.call.key] if several else "", maker.title)
        for maker in makers
    ]
    lines = list(table(("count", *PHASES, "system call", "made by"), rows, terminal_width()))
    if not any(maker.counts_in_trace for maker in makers):
        lines.append(f"only pytest itself made {call}, between tests: that is not in the trace")
    return lines


def _check_known(wanted: Wanted, text: str, names: Iterable[str | None]) -> None:
    """SeccompError where there is no call of that name on any architecture: a misspelling, most likely."""
    if wanted.name is None:
        return
    known = syscalls.all_names() | {name for name in names if name is not None}
    if wanted.name in known:
        return
    nearest = difflib.get_close_matches(wanted.name, sorted(known), n=3)
    remedy = f"did you mean {' or '.join(nearest)}?" if nearest else "name it as the manual pages do, or by its number"
    raise SeccompError(f"no system call is named {wanted.name!r}: {remedy}")
