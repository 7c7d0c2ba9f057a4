"""`pytest-seccomp why`: which tests make a system call, how often, and in which phase."""

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_seccomp.cli.loading import Loaded, head_members, load, title
from pytest_seccomp.cli.output import terminal_width, write_json, write_lines
from pytest_seccomp.cli.siblings import siblings
from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux.syscalls import all_names, audit_arch_of, name_of
from pytest_seccomp.trace.counts import PHASES, Call
from pytest_seccomp.trace.records import Head, Line, Untold
from pytest_seccomp.trace.table import number, table
from pytest_seccomp.trace.wanted import Wanted
from pytest_seccomp.trace.words import PHASES_GIVE_WAY, call_text, plural

NOT_IN_TRACE = 1


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    text = "name the tests that make a system call"
    parser = commands.add_parser(
        "why",
        help=text,
        description=f"{text.capitalize()}, with phases and counts. Exit status 1 where the call is not in the trace: "
        "nobody made it, or only pytest itself between tests.",
    )
    parser.add_argument("call", metavar="CALL", help="its name or number, or with its architecture: i386:socketcall")
    parser.add_argument("trace", metavar="TRACE", type=Path, help="a trace or its tests file")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    wanted = _wanted(arguments.call)
    answer = _Answer(wanted)
    loaded = load(arguments.trace, answer.add)
    if not answer.makers:
        wanted.check_known(record.name for record in loaded.totals.records() if record.name)
    makers = sorted(answer.makers, key=lambda maker: (maker.order, -maker.count, maker.run))
    if arguments.json:
        write_json({**loaded.members(), "call": arguments.call, "made_by": [maker.members() for maker in makers]})
    else:
        lines = _lines(makers, loaded) if makers else _nobody(wanted, loaded)
        write_lines([*loaded.heading(), "", *lines])
    return 0 if any(maker.counts_in_trace for maker in makers) else NOT_IN_TRACE


def _wanted(text: str) -> Wanted:
    """The call that the user means; SeccompError for the name of a file, which belongs behind the call."""
    if text.lower().rpartition(":")[2] not in all_names() and (os.sep in text or os.path.lexists(text)):
        raise SeccompError(f"{text} is a file, not a system call: pytest-seccomp why CALL TRACE, in this order")
    return Wanted.parse(text)


@dataclass(slots=True)
class _Maker:
    """Who made the call: a test, a collection, a harness, or (`head` is None) tests without a name."""

    head: Head | None
    nodeid: str
    run: int
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
        unnamed = {"kind": "trace", "run": None, "nodeid": None, "worker": None, "rerun": None, "outcome": None}
        whose = head_members(self.head, self.nodeid, self.run) if self.head else {**unnamed, "complete": None}
        return {
            **whose,
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

    def add(self, item: Line | Untold, run: int) -> None:
        if isinstance(item, Untold):
            self._add_untold(item)
            return
        for call, counts in item.calls:
            is_met = self._is_met.get(call)
            if is_met is None:
                is_met = self._is_met[call] = self._wanted.is_met_by(call.arch, call.number, call.name)
            if is_met:
                self.makers.append(_Maker(item.head, item.nodeid, run, call, counts.count, counts.by_phase))

    def _add_untold(self, untold: Untold) -> None:
        for record in untold.records:
            call = Call(record.arch, record.syscall, record.name)
            if self._wanted.is_met_by(call.arch, call.number, call.name):
                tests = plural(record.tests, "test")
                text = f"({tests}, {record.collection:,} in collection: no tests file to name them)"
                self.makers.append(_Maker(None, text, 0, call, record.count, [0] * len(PHASES)))


def _lines(makers: list[_Maker], loaded: Loaded) -> Iterator[str]:
    calls = {maker.call.key: maker.call for maker in makers}
    several = len(calls) > 1  # the same name or number on two architectures
    for call in calls.values():
        yield f"{call.name or 'a call without a name'}: number {call.number} of {call.arch}"
    rows = (
        (
            number(maker.count),
            *map(number, maker.phases),
            call_text(maker.call.number, maker.call.name, maker.call.arch) if several else "",
            loaded.run_text(maker.run) if maker.run else "",
            maker.title,
        )
        for maker in makers
    )
    titles = ("count", *PHASES, "system call", "run", "made by")
    yield from table(titles, rows, terminal_width(), (*PHASES_GIVE_WAY, "run"))
    yield from loaded.legend(maker.run for maker in makers if maker.run)
    kinds = {maker.head and maker.head.kind for maker in makers}
    if kinds == {"harness"}:
        yield "only pytest itself made it, between tests: that is not in the trace"
    elif kinds <= {"collect", "harness"}:
        yield "no test made it, only importing and collecting them"


def _nobody(wanted: Wanted, loaded: Loaded) -> Iterator[str]:
    records = loaded.totals.records()
    arches = [wanted.arch] if wanted.arch else sorted({record.arch for record in records})
    names = ", ".join(f"{_name(arch, wanted.number)} of {arch}" for arch in arches if wanted.number is not None)
    missing = "" if loaded.totals.complete else ", as far as this incomplete trace can tell"
    yield f"nobody made {wanted.text}{f' ({names})' if names else ''}{missing}"
    made = {record.name for record in records if record.arch in arches}
    others = [name for name in siblings(wanted.name or "") if name in made]
    if others:
        yield f"but somebody made {' and '.join(others)}: a C library chooses among calls that do the same"


def _name(arch: str, syscall: int) -> str:
    try:
        return name_of(audit_arch_of(arch), syscall) or "no call that we know"
    except ValueError:  # an architecture that only the version knows which wrote the trace
        return "a call"
