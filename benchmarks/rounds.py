"""Variants that take turns, and what their samples say: medians, ratios within a round, and how far they spread."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

Samples = dict[str, list[float]]

PLAIN = "plain"
"""The variant with which others are compared, where there is one."""


@dataclass(slots=True, frozen=True)
class Scale:
    """How much to measure."""

    rounds: int
    loop_calls: int
    sparse_calls: int
    tests: int
    starts: int
    """Rounds of the measurements that take less than a second."""
    lines: tuple[int, int, int]
    programs: int
    """Started by each test of the suite of many subprocesses."""

    def with_rounds(self, rounds: int) -> Scale:
        """The same, with another number of rounds."""
        return replace(self, rounds=rounds, starts=rounds)


@dataclass(slots=True, frozen=True)
class Goal:
    """What a figure is to reach."""

    bound: float
    least: bool = False
    """Whether `bound` is the least that it has to be, not the most that it may be."""

    def is_reached(self, value: float) -> bool:
        """Whether a figure reaches it."""
        return value >= self.bound if self.least else value <= self.bound

    def __str__(self) -> str:
        return f"at {'least' if self.least else 'most'} {self.bound:g}"


@dataclass(slots=True, frozen=True)
class Spread:
    """Values of several rounds."""

    values: list[float]

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        return f"{digits(self.median)} ({digits(min(self.values))} to {digits(max(self.values))})"


@dataclass(slots=True, frozen=True)
class Figure:
    """What is of interest: computed in each round from the samples of its variants."""

    name: str
    spread: Spread
    of_least: float
    """The same, computed from the least sample of each variant: what else the machine did has the least part in it."""
    goal: Goal | None = None
    unit: str = ""

    def __str__(self) -> str:
        text = f"{self.name}: {self.spread}{self.unit}, of the quickest rounds {digits(self.of_least)}{self.unit}"
        if self.goal is None:
            return text
        return f"{text}, goal {self.goal}: {'reached' if self.goal.is_reached(self.spread.median) else 'MISSED'}"


@dataclass(slots=True, frozen=True)
class Row:
    """A variant in a table: what it took, and to what that is in proportion."""

    name: str
    took: Spread
    ratio: Spread | None
    """To the variant without tracing."""
    missed: str
    """What it missed of the calls that were made, empty where nobody has looked."""


@dataclass(slots=True)
class Measurement:
    """The samples of one measurement, one a round and variant, and the figures that were asked for."""

    title: str
    unit: str
    samples: Samples = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seen: dict[str, tuple[int | None, int]] = field(default_factory=dict)
    """Of a variant, how many calls it has counted in its worst round, and how many were made: None where it does not
    tell."""

    def add(
        self, name: str, compute: Callable[[dict[str, float]], float], goal: Goal | None = None, unit: str = ""
    ) -> None:
        """Add a figure, computed from the samples of each round. It is left out where a variant is not here."""
        try:
            values = [compute(samples) for samples in self._rounds()]
            of_least = compute({variant: min(values) for variant, values in self.samples.items()})
        except KeyError as missing:
            self.notes.append(f"{name}: no {missing.args[0]} here")
            return
        self.figures.append(Figure(name, Spread(values), of_least, goal, unit))

    def has_seen(self, variant: str, seen: int | None, made: int) -> None:
        """Note what a variant has counted in a round, of the calls that were made."""
        before = self.seen.get(variant)
        if before is None or (seen is not None and before[0] is not None and abs(seen - made) > abs(before[0] - made)):
            self.seen[variant] = seen, made

    def missed(self) -> list[Figure]:
        """The figures that do not reach their goals."""
        return [figure for figure in self.figures if figure.goal and not figure.goal.is_reached(figure.spread.median)]

    def rows(self) -> list[Row]:
        """The variants, as they were measured."""
        return [
            Row(name, Spread(values), self._to_plain(name), self._missed_by(name))
            for name, values in self.samples.items()
        ]

    def table(self) -> str:
        """For people: each variant, then the figures."""
        width = max(map(len, self.samples))
        lines = [f"{self.title}, {len(self._rounds())} rounds, in {self.unit}"]
        for row in self.rows():
            ratio = "" if row.ratio is None else f"{row.ratio} times"
            lines.append(f"  {row.name:{width}}  {row.took!s:28} {ratio:30} {row.missed}".rstrip())
        return "\n".join([*lines, *(f"  {figure}" for figure in self.figures), *(f"  ({n})" for n in self.notes)])

    def members(self) -> dict[str, object]:
        """For machines."""
        return {
            "title": self.title,
            "unit": self.unit,
            "samples": self.samples,
            "seen": {name: {"counted": seen, "made": made} for name, (seen, made) in self.seen.items()},
            "figures": [
                {"name": figure.name, "unit": figure.unit, "median": figure.spread.median,
                 "of_least": figure.of_least, "values": figure.spread.values,
                 "goal": str(figure.goal) if figure.goal else None}
                for figure in self.figures
            ],
            "notes": self.notes,
        }  # fmt: skip

    def _rounds(self) -> list[dict[str, float]]:
        count = min(map(len, self.samples.values()))
        return [{variant: values[index] for variant, values in self.samples.items()} for index in range(count)]

    def _to_plain(self, name: str) -> Spread | None:
        if name == PLAIN or PLAIN not in self.samples:
            return None
        return Spread([samples[name] / samples[PLAIN] for samples in self._rounds()])

    def _missed_by(self, name: str) -> str:
        if name not in self.seen:
            return ""
        seen, made = self.seen[name]
        if seen is None:
            return "does not tell"
        if seen == made:
            return "nothing"
        return f"{made - seen:,} of {made:,}" if seen < made else f"counted {seen - made:,} too many"


def added(name: str) -> Callable[[Mapping[str, float]], float]:
    """What a variant takes more than the one without tracing."""
    return lambda samples: samples[name] - samples[PLAIN]


def to_plain(name: str) -> Callable[[Mapping[str, float]], float]:
    """How many times as long a variant takes as the one without tracing."""
    return lambda samples: samples[name] / samples[PLAIN]


def take_turns(variants: Mapping[str, Callable[[], float]], rounds: int) -> Samples:
    """Run each variant once for nothing (bytecode, caches), then all of them in turn, `rounds` times.

    Every other round goes backwards, so that none always comes after the same one. A variant that is refused once is
    left out, and told of on stderr.
    """
    left = dict(variants)
    samples: Samples = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name in reversed(list(left)) if number % 2 else list(left):
            _show(f"{name}, round {number} of {rounds}")
            try:
                took = left[name]()
            except Refused as refused:
                del left[name], samples[name]
                print(f"{name} is left out: {refused}", file=sys.stderr)
                continue
            if number:
                samples[name].append(took)
    _show("")
    return samples


class Refused(Exception):
    """A variant cannot be had now, though it could before: who else is logged, for one, is not ours to say."""


def digits(value: float) -> str:
    """A figure with three digits that count."""
    if value == 0:
        return "0"
    places = 2 - math.floor(math.log10(abs(value)))
    return f"{value:,.{min(max(places, 0), 3)}f}"


def _show(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()
