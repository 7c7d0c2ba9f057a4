"""Denials: the lines of a deny log, and of the spools from which it is merged.

A spool's line has the number of the architecture in place of its name, and no name of the call:

    {"kind":"denial","nodeid":"t.py::test_a","phase":"call","rerun":0,"worker":null,"arch":3221225534,"syscall":41,
     "count":1,"action":"errno","errno":null,"pid":4711,"comm":"curl","exe":"/usr/bin/curl","args":null,
     "source":"audit","expected":false}

and its last line is that of any spool: `{"kind":"end","complete":true,"reasons":[]}`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from json import dumps
from pathlib import Path
from typing import Any

from pytest_seccomp.linux.syscalls import audit_arch_of, identify
from pytest_seccomp.trace.members import BOOL, INT, OBJECT, TEXT, TEXT_OR_NULL, natural, take, texts
from pytest_seccomp.trace.reading import os_text, parse_object

COLLECTION, SETUP, CALL, TEARDOWN, LATE = PHASES = ("collection", "setup", "call", "teardown", "late")
"""Where a denial belongs: before the first test, to a phase of a test, or after the report of a test's last phase."""

_LIST_OR_NULL = (list, type(None))


@dataclass(slots=True, frozen=True)
class Denial:
    """A system call that was denied: a line of a deny log."""

    nodeid: str | None
    """The test that ran, or that had run last; None before the first."""
    phase: str
    """One of PHASES."""
    rerun: int
    """0 for the first run of the test."""
    syscall: int
    """The system call's number."""
    name: str | None
    """Its name; None for a number that nobody knows."""
    arch: str
    """The architecture of the call, by name."""
    count: int
    """How often: equal denials are one."""
    action: str
    """What the filter answered: "errno", "kill_process", "kill_thread", "trap", "trace", "user_notif"."""
    errno: str | None
    """The name of the error that the call gave; None where it gave none or, as in the kernel's log, is not known."""
    pid: int
    """The process, in the initial pid namespace."""
    comm: str
    """The name of the thread."""
    exe: str | None
    """The path of its executable; None where it had none any more."""
    args: tuple[int, ...] | None
    """The call's six arguments; None where they are not known: the kernel's log has none."""
    source: str
    """Who saw it: "audit" or "kmsg", the channels of the kernel's log."""
    expected: bool
    """Whether it was expected, and so fails nothing."""
    notes: tuple[str, ...] = field(default=())
    """What plugins have to say of it."""
    paths: tuple[tuple[int, str], ...] = field(default=())
    """What those arguments say that point to a path or to the address of a socket, by their index, as far as it is
    known."""
    exact: bool = True
    """Whether it got the answer of its filter, where that is a signal; False: another signal has ended it."""

    @property
    def call(self) -> str:
        """The call as a user would name it, or its number with the architecture where it has no name."""
        return self.name or f"{self.arch}:{self.syscall}"

    @property
    def members(self) -> dict[str, Any]:
        """As the file has it: `paths` and `notes` are there only where there are any, `exact` only where it is not."""
        found = {name: getattr(self, name) for name in _MEMBERS}
        if self.paths:
            found["paths"] = {str(index): path for index, path in self.paths}
        if not self.exact:
            found["exact"] = False
        return {**found, "notes": list(self.notes)} if self.notes else found

    def format(self) -> str:
        """The line of a deny log, newline included."""
        return dumps(self.members) + "\n"

    def format_spooled(self, worker: str | None) -> str:
        """The line of a spool, newline included."""
        members = {"kind": "denial", **self.members, "worker": worker, "arch": audit_arch_of(self.arch)}
        del members["name"]
        return dumps(members, separators=(",", ":")) + "\n"

    @classmethod
    def seen(cls, audit_arch: int, syscall: int, **members: Any) -> "Denial":
        """Of a call by AUDIT_ARCH_* and number, as the kernel reports it."""
        call = identify(audit_arch, syscall)
        return cls(syscall=call.number, name=call.name, arch=call.arch, **members)

    @classmethod
    def from_object(cls, members: Mapping[str, Any]) -> "Denial":
        """From the members of a line of a deny log; ValueError for others."""
        name = take(members, "name", TEXT_OR_NULL)
        return cls(arch=take(members, "arch", TEXT), name=name, syscall=take(members, "syscall", INT), **_rest(members))

    @classmethod
    def from_spooled(cls, members: Mapping[str, Any]) -> "Denial":
        """From the members of a line of a spool; ValueError for others."""
        return cls.seen(take(members, "arch", INT), take(members, "syscall", INT), **_rest(members))


_MEMBERS = (
    "nodeid", "phase", "rerun", "syscall", "name", "arch", "count", "action", "errno", "pid", "comm", "exe", "args",
    "source", "expected",
)  # fmt: skip


def _rest(members: Mapping[str, Any]) -> dict[str, Any]:
    """All but the call itself, checked."""
    args: list[Any] | None = take(members, "args", _LIST_OR_NULL)
    phase = take(members, "phase", TEXT)
    if phase not in PHASES:
        raise ValueError(f"unknown phase {dumps(phase)}")
    if args is not None and not all(type(value) is int for value in args):
        raise ValueError('"args" are numbers')
    return {
        "nodeid": take(members, "nodeid", TEXT_OR_NULL),
        "phase": phase,
        "rerun": natural(members, "rerun"),
        "count": natural(members, "count"),
        "action": take(members, "action", TEXT),
        "errno": take(members, "errno", TEXT_OR_NULL),
        "pid": natural(members, "pid"),
        "comm": take(members, "comm", TEXT),
        "exe": take(members, "exe", TEXT_OR_NULL),
        "args": None if args is None else tuple(args),
        "source": take(members, "source", TEXT),
        "expected": take(members, "expected", BOOL),
        "notes": texts(members, "notes") if "notes" in members else (),
        "paths": _paths(take(members, "paths", OBJECT)) if "paths" in members else (),
        "exact": take(members, "exact", BOOL) if "exact" in members else True,
    }


def _paths(members: Mapping[str, Any]) -> tuple[tuple[int, str], ...]:
    if not all(len(index) == 1 and index in "012345" and type(path) is str for index, path in members.items()):
        raise ValueError('"paths" are texts by the index of an argument')
    return tuple((int(index), path) for index, path in members.items())


@dataclass(slots=True)
class Spooled:
    """What the watchers of a run have written."""

    denials: list[Denial] = field(default_factory=list)
    """In the order of the spools, and in each in the order of time."""
    reasons: list[str] = field(default_factory=list)
    """Why denials may be missing; empty where it is proved that none is."""

    @property
    def complete(self) -> bool:
        """Whether all that was denied is there."""
        return not self.reasons

    @classmethod
    def read(cls, paths: Sequence[Path]) -> "Spooled":
        """What can be read of spools; a watcher can be killed and a disk full, so any line may be torn."""
        found = cls()
        for path in paths:
            found._read(path)
        return found

    def _read(self, path: Path) -> None:
        ended = False
        damaged = 0
        reasons: list[str] = []
        try:
            with path.open("rb") as file:
                for raw in file:
                    ended = False  # it is no end, unless it is the last
                    if not raw.endswith(b"\n"):
                        break  # torn, and so the last: that the end is missing says it all
                    try:
                        members = parse_object(raw.decode())
                        if members.get("kind") == "end":
                            reasons = [*texts(members, "reasons")]
                            ended = True
                            if not take(members, "complete", BOOL) and not reasons:
                                reasons.append("the watcher of the kernel's log has not seen all")
                            continue
                        self.denials.append(Denial.from_spooled(members))
                    except ValueError:
                        damaged += 1
        except OSError as error:
            reasons.append(f"cannot read {path}: {os_text(error)}")
        if not ended:
            reasons.append("the watcher of the kernel's log did not come to its end")
        if damaged:
            reasons.append(f"what the watcher of the kernel's log wrote is damaged in {damaged} places")
        worker = path.stem.rpartition("-")[0]  # of a process without one it is "pytest"
        of = f"{worker}: " if worker.startswith("gw") else ""
        self.reasons += [
            text for text in dict.fromkeys(f"{of}{reason}" for reason in reasons) if text not in self.reasons
        ]
