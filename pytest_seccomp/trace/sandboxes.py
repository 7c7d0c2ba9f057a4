"""What programs in sandboxes did in one phase of a test: an entry of `sandboxes` in the line of the test.

Its calls are among the test's own, too. A program that runs through several phases has an entry for each in which it
did something.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from json import dumps
from typing import Any

from pytest_seccomp.linux.syscalls import identify
from pytest_seccomp.trace.counts import PHASES, Call
from pytest_seccomp.trace.members import (
    BOOL,
    INT,
    LIST,
    TEXT,
    TEXT_OR_NULL,
    entries,
    natural,
    objects,
    take,
    texts,
)

_LIST_OR_NULL = (list, type(None))
_DENIED: dict[str, tuple[type, ...]] = {
    "syscall": INT,
    "name": TEXT_OR_NULL,
    "arch": TEXT,
    "count": INT,
    "action": TEXT,
    "errno": TEXT_OR_NULL,
    "pid": INT,
    "comm": TEXT,
    "exe": TEXT_OR_NULL,
    "args": _LIST_OR_NULL,
}
"""What an entry of `denied` has at least, as in a deny log: whose it is says the line around it."""


@dataclass(slots=True, frozen=True)
class Sandbox:
    """One sandbox in one phase."""

    argv: tuple[str, ...]
    """The program and its arguments."""
    policy: str | None
    """The policy in words; None where there is none."""
    phase: str
    """One of PHASES."""
    complete: bool
    """Whether it is certain that no call of it is missing."""
    syscalls: tuple[Mapping[str, Any], ...]
    """Call and count of each, by the names of a file: what was denied is not among them."""
    denied: tuple[Mapping[str, Any], ...]
    """The denials, by the names of a file."""

    @property
    def members(self) -> dict[str, Any]:
        """As the file has it."""
        return {
            "argv": self.argv,
            "policy": self.policy,
            "phase": self.phase,
            "complete": self.complete,
            "syscalls": self.syscalls,
            "denied": self.denied,
        }

    @classmethod
    def from_object(cls, members: Mapping[str, Any]) -> "Sandbox":
        """From an entry as it stands in a tests file; ValueError for others."""
        for entry in entries(members):
            Call.from_object(entry)
            natural(entry, "count")
        return cls._of(members, tuple(entries(members)))

    @classmethod
    def from_spooled(cls, members: Mapping[str, Any]) -> "Sandbox":
        """From an entry as it stands in a spool, with numbers in place of names; ValueError for others."""
        return cls._of(members, _named(take(members, "syscalls", LIST)))

    @classmethod
    def _of(cls, members: Mapping[str, Any], syscalls: tuple[Mapping[str, Any], ...]) -> "Sandbox":
        phase = take(members, "phase", TEXT)
        if phase not in PHASES:
            raise ValueError(f"unknown phase {dumps(phase)}")
        denied = tuple(objects(members, "denied"))
        for denial in denied:
            _check_denial(denial)
        return cls(
            argv=texts(members, "argv"),
            policy=take(members, "policy", TEXT_OR_NULL),
            phase=phase,
            complete=take(members, "complete", BOOL),
            syscalls=syscalls,
            denied=denied,
        )


def _named(spooled: list[Any]) -> tuple[Mapping[str, Any], ...]:
    found = []
    for entry in spooled:
        if type(entry) is not list or [type(part) for part in entry] != [int, int, int] or entry[2] < 0:
            raise ValueError('"syscalls" of a sandbox holds something else than [architecture, number, count]')
        call = identify(*entry[:2])
        found.append({"syscall": call.number, "name": call.name, "arch": call.arch, "count": entry[2]})
    return tuple(sorted(found, key=lambda entry: (entry["arch"], entry["syscall"])))


def _check_denial(members: Mapping[str, Any]) -> None:
    for name, types in _DENIED.items():
        take(members, name, types)
    for name in ("count", "pid"):
        natural(members, name)
    if not all(type(value) is int for value in members["args"] or ()):
        raise ValueError('"args" are numbers')
