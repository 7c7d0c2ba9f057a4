"""Reading a trace for the commands that show it, and saying at its top what it is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_seccomp.trace.reading import LineParser
from pytest_seccomp.trace.records import Line, Run, Untold
from pytest_seccomp.trace.sources import Source, find
from pytest_seccomp.trace.totals import Figures, Totals


@dataclass(slots=True)
class Loaded:
    """A trace that has been read."""

    source: Source
    totals: Totals = field(default_factory=Totals)
    runs: list[Run] = field(default_factory=list)

    @property
    def reasons(self) -> list[str]:
        """Why it is incomplete; at least one where it is."""
        if self.totals.complete or self.totals.reasons:
            return self.totals.reasons
        return ["lines of it say so, without a reason"]

    def heading(self) -> Iterator[str]:
        """What the trace is, and whether something may be missing."""
        state = "complete" if self.totals.complete else "INCOMPLETE"
        backends = ", ".join(sorted({run.backend for run in self.runs}))
        yield (f"{self.source.path or self.source.tests}: {state}{f', {backends}' if backends else ''}")
        yield in_words(self.totals.figures(), runs=len(self.runs))
        if not self.totals.complete:
            yield "INCOMPLETE: calls may be missing:"
            yield from (f"  {reason}" for reason in self.reasons)

    def members(self) -> dict[str, Any]:
        """The same for a program."""
        return {
            "complete": self.totals.complete,
            "lost": self.totals.lost,
            "reasons": self.reasons,
            **figures_members(self.totals.figures()),
            "runs": [run.members for run in self.runs],
        }


def load(path: Path, visit: Callable[[Line | Untold], None]) -> Loaded:
    """Read the trace that a user means by one of its files, showing each line to `visit`. TraceError as from `find`."""
    loaded = Loaded(find(path))
    for _, item in loaded.source.items(LineParser(), loaded.totals):
        if isinstance(item, Run):
            loaded.runs.append(item)
        else:
            visit(item)
    return loaded


def in_words(figures: Figures, runs: int) -> str:
    """A trace in one line. `runs` is 0 where that is not known."""
    parts = [plural(runs, "run")] if runs else []
    if figures.tests or not figures.untold:
        parts.append(plural(figures.tests, "test"))
    if figures.untold:
        parts.append(f"{plural(figures.untold, 'trace')} without a tests file")
    return (
        f"{', '.join(parts)}, {plural(figures.in_tests + figures.collection, 'call')} of "
        f"{plural(figures.distinct, 'kind')}: {figures.in_tests:,} in tests, {figures.collection:,} in collection"
    )


def figures_members(figures: Figures) -> dict[str, int]:
    """The same for a program."""
    return {
        "tests_run": figures.tests,
        "traces_without_tests": figures.untold,
        "distinct": figures.distinct,
        "calls_in_tests": figures.in_tests,
        "calls_in_collection": figures.collection,
        "calls_in_harness": figures.harness,
    }


def plural(count: int, noun: str) -> str:
    """ "1 test", "2 tests"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def call_text(number: int, name: str | None, arch: str) -> str:
    """How a call is named in a table."""
    return f"{name or number} ({arch})"
