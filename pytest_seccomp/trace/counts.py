"""System calls and how often they were made, as the lines of a trace have them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from json import dumps
from typing import Any

from pytest_seccomp.trace.members import INT, OBJECT, TEXT, TEXT_OR_NULL, natural, take

PHASES = ("setup", "call", "teardown", "shared")
"""Phases of a test in their order in a file; `shared` is the set-up and tear-down of fixtures wider than a function."""


@dataclass(slots=True, eq=False)
class Call:
    """A system call. One object for each within a reader, so that it is compared by identity, which is fast."""

    arch: str
    number: int
    name: str | None
    text: str = field(init=False, repr=False)
    """The members that a file has for it, without braces."""

    def __post_init__(self) -> None:
        self.text = f'"syscall": {self.number}, "name": {dumps(self.name)}, "arch": {dumps(self.arch)}'

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from all other calls, and their order in a file."""
        return self.arch, self.number

    @classmethod
    def from_object(cls, members: Mapping[str, Any]) -> "Call":
        """From the members `syscall`, `name` and `arch`."""
        return cls(
            arch=take(members, "arch", TEXT),
            number=take(members, "syscall", INT),
            name=take(members, "name", TEXT_OR_NULL),
        )


@dataclass(slots=True, eq=False)
class Counts:
    """How often a call was made in one line."""

    count: int
    by_phase: list[int]
    """In the order of PHASES; all 0 in the lines that have no phases (collect, harness)."""
    text: str = field(repr=False)
    """What follows `"count": ` in a file, up to the brace."""

    @property
    def phases(self) -> dict[str, int]:
        """By the names of the phases, without those that made no call."""
        return {phase: count for phase, count in zip(PHASES, self.by_phase, strict=True) if count}

    @classmethod
    def from_phases(cls, phases: Mapping[str, int]) -> "Counts":
        """Those of a test."""
        counts = cls.without_phases(sum(phases.values()))
        counts.by_phase = [phases.get(phase, 0) for phase in PHASES]
        counts.text += f', "phases": {dumps(counts.phases)}'
        return counts

    @classmethod
    def without_phases(cls, count: int) -> "Counts":
        """Those of a collection or a harness."""
        return cls(count, [0] * len(PHASES), str(count))

    @classmethod
    def from_object(cls, members: Mapping[str, Any]) -> "Counts":
        """From the members `count` and, in a test's line, `phases`."""
        count = natural(members, "count")
        if "phases" not in members:
            return cls.without_phases(count)
        phases = take(members, "phases", OBJECT)
        for phase in phases:
            if phase not in PHASES:
                raise ValueError(f"unknown phase {dumps(phase)}")
            natural(phases, phase)
        counts = cls.from_phases(phases)
        if counts.count != count:
            raise ValueError(f'"count" is {count}, but its phases make {counts.count}')
        return counts
