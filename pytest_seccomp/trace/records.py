"""What the files of a trace hold, as objects.

A trace is two files: PATH with one record for each system call, and PATH with `.tests` before its suffix, which has the
run and one line for each test, each process's collection and its harness. PATH is a pure function of the other one:
see `totals`.

Every object checks what it is made of and raises ValueError with a short reason; the readers add file and line.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from json import dumps
from json.encoder import encode_basestring_ascii
from typing import Any

from pytest_seccomp.trace.counts import Call, Counts
from pytest_seccomp.trace.length import lines_in, with_lines
from pytest_seccomp.trace.members import (
    BOOL,
    INT,
    INT_OR_NULL,
    LIST,
    TEXT,
    TEXT_OR_NULL,
    entries,
    natural,
    objects,
    take,
)
from pytest_seccomp.trace.sandboxes import Sandbox

FORMAT = 1
"""The format of the tests file that this version writes, and the newest that it reads."""


class NewerFormat(ValueError):
    """The line is sound, as far as we know: a newer version wrote it."""


@dataclass(slots=True)
class Head:
    """What a line says besides its calls and the test's id: the same for very many lines of a run."""

    kind: str
    """`test`, `collect` or `harness`."""
    worker: str | None
    backend: str
    complete: bool
    lost: int | None
    outcome: str | None = None
    rerun: int = 0
    text: str = field(init=False, repr=False, compare=False)
    """The line between the test's id and its calls; from its beginning where there is no test."""

    def __post_init__(self) -> None:
        members: dict[str, Any] = {"outcome": self.outcome} if self.kind == "test" else {"kind": self.kind}
        members["worker"] = self.worker
        if self.kind == "test":
            members["rerun"] = self.rerun
        members |= {"backend": self.backend, "complete": self.complete, "lost": self.lost}
        opening = ", " if self.kind == "test" else "{"
        self.text = f'{opening}{dumps(members)[1:-1]}, "syscalls": ['

    @classmethod
    def from_object(cls, members: Mapping[str, Any]) -> "Head":
        """From a line's members; those of a spool have the same names."""
        kind = take(members, "kind", TEXT)
        if kind not in ("test", "collect", "harness"):
            raise ValueError(f"unknown kind of line {dumps(kind)}")
        lost = take(members, "lost", INT_OR_NULL)
        return cls(
            kind=kind,
            worker=take(members, "worker", TEXT_OR_NULL),
            backend=take(members, "backend", TEXT),
            complete=take(members, "complete", BOOL),
            lost=None if lost is None else natural(members, "lost"),
            outcome=take(members, "outcome", TEXT_OR_NULL) if kind == "test" else None,
            rerun=natural(members, "rerun") if kind == "test" else 0,
        )


TEST_OPENING = '{"kind": "test", "nodeid": '


@dataclass(slots=True)
class Line:
    """One line of a tests file: what one test, one process's collection or its harness called."""

    head: Head
    nodeid: str
    """Empty where there is no test."""
    calls: list[tuple[Call, Counts]]
    sandboxes: list[Sandbox] = field(default_factory=list)
    """What of it was made in sandboxes; none where there is no test."""

    def format(self) -> str:
        """The line as the file has it, newline included."""
        calls = ", ".join([f'{{{call.text}, "count": {counts.text}}}' for call, counts in self.calls])
        if self.head.kind != "test":
            return f"{self.head.text}{calls}]}}\n"
        sandboxes = dumps([sandbox.members for sandbox in self.sandboxes]) if self.sandboxes else "[]"
        opening = f"{TEST_OPENING}{encode_basestring_ascii(self.nodeid)}{self.head.text}"
        return f'{opening}{calls}], "sandboxes": {sandboxes}}}\n'

    @classmethod
    def from_object(cls, members: Mapping[str, Any]) -> "Line":
        """From a line's members as they stand in a tests file."""
        head = Head.from_object(members)
        calls = [(Call.from_object(entry), Counts.from_object(entry)) for entry in entries(members)]
        if head.kind != "test":
            return cls(head, "", calls)
        sandboxes = [Sandbox.from_object(entry) for entry in objects(members, "sandboxes")]
        return cls(head, take(members, "nodeid", TEXT), calls, sandboxes)


@dataclass(slots=True, frozen=True)
class Record:
    """One line of PATH: a system call in the whole trace."""

    syscall: int
    name: str | None
    count: int
    """What the tests made, and `collection`."""
    arch: str
    tests: int
    """In how many runs of a test it was made."""
    collection: int
    """What loading conftests and collecting made in that process that made most."""
    complete: bool = True

    @property
    def members(self) -> dict[str, Any]:
        """As the file has it: `complete` is there only where it is false."""
        found = {name: getattr(self, name) for name in ("syscall", "name", "count", "arch", "tests", "collection")}
        return found if self.complete else {**found, "complete": False}

    def format(self) -> str:
        """The line as the file has it, newline included."""
        return dumps(self.members) + "\n"

    @classmethod
    def from_object(cls, members: Mapping[str, Any]) -> "Record":
        """From the members of a line of PATH."""
        record = cls(
            syscall=take(members, "syscall", INT),
            name=take(members, "name", TEXT_OR_NULL),
            count=natural(members, "count"),
            arch=take(members, "arch", TEXT),
            tests=natural(members, "tests"),
            collection=natural(members, "collection"),
            complete=take(members, "complete", BOOL) if "complete" in members else True,
        )
        if record.collection > record.count:
            raise ValueError(f'"collection" is {record.collection}, more than "count", which is {record.count}')
        return record


@dataclass(slots=True)
class Untold:
    """A line of kind `trace`: the records of a trace whose tests file was not there when it was merged or appended to.

    It keeps the rule that PATH follows from the tests file alone.
    """

    records: list[Record]
    complete: bool
    lines: int | None = None
    """How many lines follow in the file, at least; None where it does not say."""

    def format(self) -> str:
        """The line as the file has it, newline included."""
        records = [record.members for record in self.records]
        return _beginning({"kind": "trace", "complete": self.complete, "syscalls": records}, self.lines)

    @classmethod
    def from_object(cls, members: Mapping[str, Any]) -> "Untold":
        """From the members of such a line."""
        records = [Record.from_object(entry) for entry in entries(members)]
        return cls(records, take(members, "complete", BOOL), lines_in(members))


@dataclass(slots=True)
class Run:
    """The line of a run: before the lines of its tests."""

    backend: str
    complete: bool
    lost: int | None
    """Calls that are known to be missing; None where that cannot be known."""
    exit_status: int | None
    """Of pytest; None where it was killed."""
    selection: list[str]
    """What pytest was asked to run."""
    python: str
    pytest: str
    kernel: str
    arch: str
    workers: int
    """Of pytest-xdist; 0 without it."""
    reasons: list[str] = field(default_factory=list)
    """Why it is incomplete; in the file only where it is."""
    lines: int | None = None
    """How many lines follow in the file, at least; None where it does not say."""

    @property
    def members(self) -> dict[str, Any]:
        """What the file says of the run: `reasons` are there only where it is incomplete."""
        found: dict[str, Any] = {"kind": "run", "format": FORMAT}
        found |= {name: getattr(self, name) for name in _RUN_MEMBERS}
        return found if self.complete else {**found, "reasons": self.reasons}

    def format(self) -> str:
        """The line as the file has it, newline included."""
        return _beginning(self.members, self.lines)

    @classmethod
    def from_object(cls, members: Mapping[str, Any]) -> "Run":
        """From the members of a run's line."""
        version = take(members, "format", INT)
        if version > FORMAT:
            raise NewerFormat(f"format {version} is newer than this pytest-seccomp, which reads {FORMAT}: update it")
        run = cls(**{name: take(members, name, types) for name, types in _RUN_MEMBERS.items()})
        run.lines = lines_in(members)
        run.reasons = take(members, "reasons", LIST) if "reasons" in members else []
        if not all(type(text) is str for text in (*run.selection, *run.reasons)):
            raise ValueError('"selection" and "reasons" are lists of texts')
        return run


_RUN_MEMBERS: dict[str, tuple[type, ...]] = {
    "backend": TEXT,
    "complete": BOOL,
    "lost": INT_OR_NULL,
    "exit_status": INT_OR_NULL,
    "selection": LIST,
    "python": TEXT,
    "pytest": TEXT,
    "kernel": TEXT,
    "arch": TEXT,
    "workers": INT,
}


def _beginning(members: Mapping[str, Any], lines: int | None) -> str:
    """A line that can be the first one of a file."""
    return f"{dumps(members)}\n" if lines is None else with_lines(members, lines)
