"""Reading a trace for the commands that show it, and saying at its top what it is."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_seccomp.cli.progress import progress, size
from pytest_seccomp.trace.reading import LineParser
from pytest_seccomp.trace.records import Head, Line, Run, Untold
from pytest_seccomp.trace.sources import Source, find
from pytest_seccomp.trace.totals import Figures, Totals
from pytest_seccomp.trace.words import in_words


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
        backends = sorted({run.backend for run in self.runs})
        architectures = sorted({record.arch for record in self.totals.records()})
        yield f"{self.source.files[0]}: {', '.join([state, *backends, *architectures])}"
        yield in_words(self.totals.figures(), runs=len(self.runs))
        if not self.totals.complete:
            yield "INCOMPLETE: calls may be missing:"
            yield from (f"  {reason}" for reason in self.reasons)

    def run_text(self, number: int) -> str:
        """The number of a run in the column `run` of a table, which is empty where there is but one."""
        return str(number) if len(self.runs) > 1 else ""

    def legend(self, numbers: Iterable[int]) -> Iterator[str]:
        """What runs the numbers of the column `run` are, where there is one."""
        for number in sorted(set(numbers)) if len(self.runs) > 1 else ():
            yield f"run {number}: {self.describe(number)}"

    def describe(self, number: int) -> str:
        """What the run with that number is."""
        run = self.runs[number - 1]
        selection = " ".join(run.selection) or "everything"
        pytest = f"pytest {run.pytest}, " if run.pytest else ""  # or a program was recorded
        return f"{selection}, Python {run.python}, {pytest}Linux {run.kernel} on {run.arch}"

    def members(self) -> dict[str, Any]:
        """The same for a program."""
        return {
            "complete": self.totals.complete,
            "lost": self.totals.lost,
            "reasons": self.reasons,
            **figures_members(self.totals.figures()),
            "runs": [run.members for run in self.runs],
        }


Visit = Callable[[Line | Untold, int], None]
"""Is shown each line, with the number of its run: 1 for the first; that of an Untold means nothing."""


def load(path: Path, visit: Visit) -> Loaded:
    """Read the trace that a user means by one of its files, showing it to `visit`. TraceError as from `find` and from
    `Source.items`."""
    loaded = Loaded(find(path))
    with progress(f"reading {path}", size(loaded.source.files[-1:])) as step:
        for line, item in loaded.source.items(LineParser(), loaded.totals):
            step(len(line))
            if isinstance(item, Run):
                loaded.runs.append(item)
            else:
                visit(item, len(loaded.runs))
    return loaded


def title(head: Head, nodeid: str) -> str:
    """How a line of the tests file is called in a table."""
    if head.kind != "test":
        return f"({head.kind}{f', {head.worker}' if head.worker else ''})"
    rerun = f" (rerun {head.rerun})" if head.rerun else ""
    if head.outcome is None:
        return f"{nodeid}{rerun} (did not finish)"
    return f"{nodeid}{rerun}{'' if head.complete else ' (INCOMPLETE)'}"


def head_members(head: Head, nodeid: str, run: int) -> dict[str, Any]:
    """The same for a program, with the number of the run."""
    return {
        "kind": head.kind,
        "run": run,
        "nodeid": nodeid or None,
        "worker": head.worker,
        "rerun": head.rerun,
        "outcome": head.outcome,
        "complete": head.complete,
    }


def figures_members(figures: Figures) -> dict[str, int]:
    """A trace in a few numbers for a program."""
    return {
        "tests_run": figures.tests,
        "traces_without_tests": figures.untold,
        "distinct": figures.distinct,
        "calls_in_tests": figures.in_tests,
        "calls_in_collection": figures.collection,
        "calls_in_harness": figures.harness,
    }
