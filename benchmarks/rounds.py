"""Variants that take turns, and what their samples say: medians, ratios within a round, and how far they spread."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

Samples = dict[str, list[float]]


@dataclass(slots=True, frozen=True)
class Scale:
    """How much to measure."""

    rounds: int
    loop_calls: int
    sparse_calls: int
    tests: int
    starts: int
    """Rounds of the measurements that take less than a second."""
    lines: tuple[int, int]

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
class Figure:
    """What is of interest: computed in each round from the samples of its variants."""

    name: str
    values: list[float]
    goal: Goal | None = None
    unit: str = ""

    @property
    def median(self) -> float:
        """Of the rounds."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        spread = f"({min(self.values):.2f} to {max(self.values):.2f})"
        text = f"{self.name}: {self.median:.2f}{self.unit} {spread}"
        if self.goal is None:
            return text
        return f"{text}, goal {self.goal}: {'reached' if self.goal.is_reached(self.median) else 'MISSED'}"


@dataclass(slots=True)
class Measurement:
    """The samples of one measurement, one a round and variant, and the figures that were asked for."""

    title: str
    unit: str
    samples: Samples
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(
        self, name: str, compute: Callable[[Mapping[str, float]], float], goal: Goal | None = None, unit: str = ""
    ) -> None:
        """Add a figure, computed from the samples of each round. It is left out where a variant is not here."""
        count = min(len(values) for values in self.samples.values())
        rounds = [{variant: values[index] for variant, values in self.samples.items()} for index in range(count)]
        try:
            values = [compute(samples) for samples in rounds]
        except KeyError as missing:
            self.notes.append(f"{name}: no {missing.args[0]} here")
            return
        self.figures.append(Figure(name, values, goal, unit))

    def missed(self) -> list[Figure]:
        """The figures that do not reach their goals."""
        return [figure for figure in self.figures if figure.goal and not figure.goal.is_reached(figure.median)]

    def table(self) -> str:
        """For people: the median of each variant with its spread, then the figures."""
        width = max(map(len, self.samples))
        rows = [
            f"  {name:{width}}  {statistics.median(values):10.2f} {self.unit}  ({min(values):.2f} to {max(values):.2f})"
            for name, values in self.samples.items()
        ]
        count = min(len(values) for values in self.samples.values())
        lines = [f"{self.title}, {count} rounds", *rows, *(f"  {figure}" for figure in self.figures)]
        return "\n".join(lines + [f"  ({note})" for note in self.notes])

    def members(self) -> dict[str, object]:
        """For machines."""
        return {
            "title": self.title,
            "unit": self.unit,
            "samples": self.samples,
            "figures": [
                {"name": figure.name, "unit": figure.unit, "median": figure.median, "values": figure.values,
                 "goal": str(figure.goal) if figure.goal else None}
                for figure in self.figures
            ],
            "notes": self.notes,
        }  # fmt: skip


def take_turns(variants: Mapping[str, Callable[[], float]], rounds: int) -> Samples:
    """Run each variant once for nothing (bytecode, caches), then all of them in turn, `rounds` times.

    Every other round goes backwards, so that none always comes after the same one.
    """
    for name, variant in variants.items():
        _show(f"{name}, warming up")
        variant()
    samples: Samples = {name: [] for name in variants}
    for number in range(rounds):
        order = list(variants.items())
        for name, variant in reversed(order) if number % 2 else order:
            _show(f"{name}, round {number + 1} of {rounds}")
            samples[name].append(variant())
    _show("")
    return samples


def _show(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()
