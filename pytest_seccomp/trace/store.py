"""Writing a trace: what the plugin and the commands call. See `destination` for the place, `lock` and `replacement` for
how several runs with one PATH get along, `totals` for what PATH says.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.destination import Destination
from pytest_seccomp.trace.length import say_lines
from pytest_seccomp.trace.lock import locked
from pytest_seccomp.trace.place import Identity
from pytest_seccomp.trace.recorded import Recorded, Visit
from pytest_seccomp.trace.records import Record, Run
from pytest_seccomp.trace.replacement import Replacement, replacing
from pytest_seccomp.trace.totals import Figures, Totals

__all__ = ["Destination", "Mergeable", "Written", "merge_traces", "write_trace"]


class Mergeable(Protocol):
    """A Source, a Recorded, or what stands for one."""

    @property
    def files(self) -> Iterable[Path]:
        """Those that it is read from."""

    def write_to(self, output: BinaryIO) -> Totals:
        """Append it to a tests file, and say what it adds up to."""


@dataclass(slots=True, frozen=True)
class Written:
    """What was written. All but the paths and the last two speak of what was added now, not of what was there."""

    path: Path
    tests: Path
    complete: bool
    lost: int | None
    """Calls that are known to be missing; None where that cannot be known."""
    reasons: list[str]
    """Why it is incomplete."""
    figures: Figures
    records: list[Record]
    """The most frequent calls first."""
    file_complete: bool
    """Whether the trace in the files is complete as a whole, what was there before it was appended to included."""
    replaced_other: bool
    """Whether it replaced a trace that was not there when the destination was checked: another run's."""


def write_trace(
    destination: Destination, run: Run, spools: Sequence[Path], *, append: bool = False, visit: Visit | None = None
) -> Written:
    """Merge what the recorders of a run wrote into the two files of a trace.

    `run.complete`, `run.lost` and `run.reasons` are what the caller knows; what the spools say is added to it in the
    files. With `append` the trace that is there stays and this one is added; without, it is replaced. A trace whose
    PATH was removed is gone, also where its tests file is still there. `visit` is shown each line that is added.

    Flat in memory. Raises TraceError where that cannot be done; nothing has changed then.
    """
    with locked(destination.lock), replacing(destination) as new:
        before = Identity.of(destination.path)
        earlier = destination.earlier() if append else None
        whole = earlier.write_to(new.tests) if earlier else Totals()
        totals = Recorded(run, spools).write_to(new.tests, visit)
        whole.add_totals(totals)
        _finish(new, whole)
    replaced_other = not append and before is not None and before != destination.seen
    return _written(destination, totals, file_complete=whole.complete, replaced_other=replaced_other)


def merge_traces(destination: Destination, sources: Sequence[Mergeable]) -> Written:
    """Merge existing traces, the shards of several machines for example, into the two files of one.

    Flat in memory. Raises TraceError for a source that is damaged or that is the destination itself: run again, that
    would count itself once more. Nothing has changed then.
    """
    outputs = [path for path in (destination.path, destination.tests) if path.exists()]
    for source in sources:
        for path in source.files:
            if any(path.samefile(output) for output in outputs):
                raise TraceError(f"{path} is both input and output and would count twice: name another output")
    with locked(destination.lock), replacing(destination) as new:
        before = Identity.of(destination.path)
        whole = Totals()
        for source in sources:
            whole.add_totals(source.write_to(new.tests))
        _finish(new, whole)
    replaced_other = before is not None and before != destination.seen
    return _written(destination, whole, file_complete=whole.complete, replaced_other=replaced_other)


def _finish(new: Replacement, totals: Totals) -> None:
    say_lines(new.tests, totals.lines - 1)
    for record in totals.records():
        new.records.write(record.format().encode("ascii"))


def _written(destination: Destination, totals: Totals, *, file_complete: bool, replaced_other: bool) -> Written:
    return Written(
        path=destination.path,
        tests=destination.tests,
        complete=totals.complete,
        lost=totals.lost,
        reasons=totals.reasons,
        figures=totals.figures(),
        records=sorted(totals.records(), key=lambda record: -record.count),
        file_complete=file_complete,
        replaced_other=replaced_other,
    )
