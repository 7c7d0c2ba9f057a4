"""Spools: what the recorders write during a run, one file each, and what becomes of their lines.

A spool's line has numbers in place of names, and is written without spaces:

    {"kind":"test","nodeid":"t.py::test_a","outcome":"passed","worker":null,"rerun":0,"backend":"notify",
     "complete":true,"lost":0,"syscalls":[[3221225534,39,{"call":1000}]]}

Its calls are AUDIT_ARCH_* number, system call number, and counts by phase; `collection` and `harness` are the phases of
the lines of that kind. The last line, `{"kind":"end","complete":true,"lost":0,"reasons":[]}`, proves that there are no
more. The line of a test that ran programs in sandboxes has one member more, of calls that are in `syscalls` as well:

    "sandboxes":[{"argv":["curl"],"policy":null,"phase":"call","complete":true,"syscalls":[[3221225534,39,1]],
     "denied":[]}]

A recorder can be killed and a disk can be full, so that any line may be torn: what can be read is kept, and the
trace is incomplete.

As in `reading`, each distinct piece of text is parsed once.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_seccomp.errors import TraceError
from pytest_seccomp.linux.syscalls import identify
from pytest_seccomp.trace.counts import PHASES, Call, Counts
from pytest_seccomp.trace.members import BOOL, INT_OR_NULL, LIST, TEXT, natural, objects, take
from pytest_seccomp.trace.reading import Remembered, exactly, os_text, parse_object, raw_decode, remedy
from pytest_seccomp.trace.records import Head, Line
from pytest_seccomp.trace.sandboxes import Sandbox

_BUFFER = 1024 * 1024
_TEST_OPENING = '{"kind":"test","nodeid":'

_PHASES_OF = {"test": PHASES, "collect": ("collection",), "harness": ("harness",)}

_COUNTS = re.compile("".join(rf'(?:,"{phase}":([1-9][0-9]*))?' for phase in PHASES) + "}")
"""The usual counts of a test, `,"setup":2,"call":7}`, in order and without zeros; anything else goes the long way."""


@dataclass(slots=True)
class End:
    """A spool's last line."""

    complete: bool
    lost: int | None
    reasons: list[str]

    @classmethod
    def from_object(cls, members: dict[str, Any]) -> "End":
        """From the members of that line."""
        lost = take(members, "lost", INT_OR_NULL)
        reasons: list[Any] = take(members, "reasons", LIST)
        return cls(take(members, "complete", BOOL), lost, [str(reason) for reason in reasons])


@dataclass(slots=True)
class Spool:
    """A spool while it is read: iterate over it once, then ask how complete it was."""

    path: Path
    parser: "SpoolParser"
    complete: bool = True
    lost: int | None = 0
    """Calls that are known to be missing; None where that cannot be known: the end says it, which may be missing."""
    reasons: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[Line]:
        """Its lines in their order. What is damaged or gone is noted in `reasons`: the other spools are still worth it.

        TraceError where it is there and cannot be read: as long as nobody goes on without it, nothing of it is lost.
        """
        worker: str | None = None
        end: End | None = None
        incomplete = damaged = 0
        try:
            with self.path.open("rb", buffering=_BUFFER) as file:
                for raw in file:
                    end = None  # it is none, unless it is the last
                    if not raw.endswith(b"\n"):
                        break  # torn, and so the last: that the end is missing says it all
                    try:
                        item = self.parser(raw.decode())
                    except ValueError:
                        damaged += 1
                        continue
                    if isinstance(item, End):
                        end = item
                        continue
                    worker = item.head.worker
                    incomplete += not item.head.complete
                    yield item
        except FileNotFoundError:
            self.reasons.append(f"what the recorder wrote to {self.path} is gone: somebody has removed it")
        except OSError as error:
            its_remedy = remedy(error, "make it readable, or move it away")
            raise TraceError(f"cannot read what was recorded in {self.path}: {os_text(error)}: {its_remedy}") from error
        self._judge(end, incomplete, damaged, f"{worker}: " if worker else "")

    def _judge(self, end: End | None, incomplete: int, damaged: int, of: str) -> None:
        self.lost = end.lost if end is not None and not damaged else None
        if end is None:
            self.reasons.append(f"{of}the recorder did not come to its end")
        elif not end.complete:
            self.reasons += [f"{of}{reason}" for reason in end.reasons or ["the recorder's trace is incomplete"]]
        if damaged:
            self.reasons.append(f"{of}what the recorder wrote is damaged in {damaged} places")
        if incomplete and not self.reasons:
            self.reasons.append(f"{of}incomplete lines: {incomplete}")
        if self.lost and not self.reasons:
            self.reasons.append(f"{of}calls lost: {self.lost}")
        self.complete = not self.reasons


class SpoolParser:
    """Understands the lines of spools. One for all spools of a run: it remembers."""

    __slots__ = ("_calls", "_counts", "_heads")

    def __init__(self) -> None:
        self._calls = Remembered(_parse_call, most=None)  # whoever adds up keeps them all anyway, one object for each
        self._counts = Remembered(_parse_counts)
        self._heads = Remembered(_parse_head)

    def __call__(self, text: str) -> Line | End:
        """What a line says, its calls sorted by architecture and number; ValueError if it is none of ours."""
        try:
            line = self._parse_test(text)
        except ValueError:  # of another shape, or wrong: the long way finds out which
            members = parse_object(text)
            if members.get("kind") == "end":
                return End.from_object(members)
            line = self._parse_any(members)
        line.calls.sort(key=_order)
        return line

    def _parse_test(self, text: str) -> Line:
        """A test's line exactly as the recorder writes it; ValueError for any other."""
        opening, found, rest = text.partition('"syscalls":[')
        if not (found and rest.endswith("]}\n") and opening.startswith(f'{_TEST_OPENING}"')):
            raise ValueError("of another shape")
        nodeid, end = raw_decode(opening, len(_TEST_OPENING))
        if rest == "]}\n":
            return Line(self._heads[opening[end:]], nodeid, [])
        if not (rest[0] == "[" and rest[-4] == "]"):
            raise ValueError("of another shape")
        calls, counts = self._calls, self._counts
        pieces = [entry.partition(",{") for entry in rest[1:-4].split("],[")]
        return Line(self._heads[opening[end:]], nodeid, [(calls[call], counts[count]) for call, _, count in pieces])

    def _parse_any(self, members: dict[str, Any]) -> Line:
        head = Head.from_object(members)
        nodeid = take(members, "nodeid", TEXT) if head.kind == "test" else ""
        entries: list[Any] = take(members, "syscalls", LIST)
        calls: list[tuple[Call, Counts]] = []
        for entry in entries:
            if type(entry) is not list or [type(part) for part in entry] != [int, int, dict]:
                raise ValueError('"syscalls" holds something else than [architecture, number, counts]')
            audit_arch, number, phases = entry
            counts = _counts_of(head.kind, phases)
            if counts.count:
                calls.append((self._calls[f"{audit_arch},{number}"], counts))
        sandboxes = objects(members, "sandboxes") if head.kind == "test" and "sandboxes" in members else ()
        return Line(head, nodeid, calls, [Sandbox.from_spooled(entry) for entry in sandboxes])


def _order(entry: tuple[Call, Counts]) -> tuple[str, int]:
    return entry[0].arch, entry[0].number


def _counts_of(kind: str, phases: dict[str, Any]) -> Counts:
    for phase in phases:
        if phase not in _PHASES_OF[kind]:
            raise ValueError(f"a line of kind {kind} has no phase {phase!r}")
        natural(phases, phase)
    return Counts.from_phases(phases) if kind == "test" else Counts.without_phases(sum(phases.values()))


def _parse_call(text: str) -> Call:
    audit_arch, number = (int(part) for part in text.split(","))
    if text != f"{audit_arch},{number}":  # int() takes more than JSON does
        raise ValueError("of another shape")
    call = identify(audit_arch, number)
    return Call(call.arch, call.number, call.name)


def _parse_counts(text: str) -> Counts:
    match = _COUNTS.fullmatch(f",{text}")
    if match is None:
        raise ValueError("of another shape")
    by_phase = list(map(int, match.groups("0")))
    count = sum(by_phase)
    phases = text.replace(":", ": ").replace(",", ", ")
    return Counts(count, by_phase, f'{count}, "phases": {{{phases}')


def _parse_head(text: str) -> Head:
    members = parse_object(f'{{"nodeid":""{text}"syscalls":[]}}')
    exactly(members, ("nodeid", "outcome", "worker", "rerun", "backend", "complete", "lost", "syscalls"))
    members["kind"] = "test"
    return Head.from_object(members)
