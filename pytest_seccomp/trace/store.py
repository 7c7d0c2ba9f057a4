"""Writing a trace: what the plugin and the commands call. See `destination` for the place, `lock` and `replacement` for
how several runs with one PATH get along, `totals` for what PATH says.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.destination import Destination, Identity, real_path
from pytest_seccomp.trace.lock import locked
from pytest_seccomp.trace.reading import LineParser
from pytest_seccomp.trace.records import Record, Run
from pytest_seccomp.trace.replacement import replacing
from pytest_seccomp.trace.sources import Source, check_pair, copy
from pytest_seccomp.trace.spool import Spool, SpoolParser
from pytest_seccomp.trace.totals import Figures, Totals

__all__ = ["Destination", "Written", "merge_traces", "write_trace"]

_CHUNK = 1024 * 1024


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


def write_trace(destination: Destination, run: Run, spools: Sequence[Path], *, append: bool = False) -> Written:
    """Merge what the recorders of a run wrote into the two files of a trace.

    `run.complete`, `run.lost` and `run.reasons` are what the caller knows; what the spools say is added to it in the
    files. With `append` the trace that is there stays and this one is added; without, it is replaced. A trace whose
    PATH was removed is gone, also where its tests file is still there.

    Flat in memory. Raises TraceError where that cannot be done; nothing has changed then.
    """
    with locked(destination.lock), replacing(destination) as new:
        before = Identity.of(destination.path)
        whole = _copy_earlier(destination, new.tests) if append and before is not None else Totals()
        totals = _write_run(new.tests, run, spools)
        whole.add_totals(totals)
        _write_records(new.records, whole)
    replaced_other = not append and before is not None and before != destination.seen
    return _written(destination, totals, file_complete=whole.complete, replaced_other=replaced_other)


def merge_traces(destination: Destination, sources: Sequence[Source]) -> Written:
    """Merge existing traces, the shards of several machines for example, into the two files of one.

    Flat in memory. Raises TraceError for a source that is damaged or that is the destination itself: run again, that
    would count itself once more. Nothing has changed then.
    """
    for source in sources:
        for path in (source.path, source.tests):
            if path is not None and real_path(path) in (destination.path, destination.tests):
                raise TraceError(f"{path} is both input and output and would count twice: name another output")
    parser = LineParser()
    with locked(destination.lock), replacing(destination) as new:
        before = Identity.of(destination.path)
        whole = Totals()
        for source in sources:
            totals = copy(source, new.tests, parser)
            check_pair(source, totals, parser)
            whole.add_totals(totals)
        _write_records(new.records, whole)
    replaced_other = before is not None and before != destination.seen
    return _written(destination, whole, file_complete=whole.complete, replaced_other=replaced_other)


def _copy_earlier(destination: Destination, output: BinaryIO) -> Totals:
    """The trace that is there, to append to. Its tests file goes, as for everybody: see `replacement`."""
    tests = destination.tests if destination.tests.exists() else None
    if tests is None and destination.path.stat().st_size == 0:
        return Totals()  # an empty file, made for us, is no trace that was cut off
    return copy(Source(destination.path, tests), output, LineParser())


def _write_run(output: BinaryIO, run: Run, spools: Sequence[Path]) -> Totals:
    """The run's line, then those of its spools, in one pass."""
    # Its line comes first, but how complete it was shows last. It is almost always as complete as the caller believes.
    start = output.tell()
    believed = run.format().encode("ascii")
    output.write(believed)
    totals = Totals()
    parser = SpoolParser()
    found = replace(run, reasons=list(run.reasons))
    for path in spools:
        spool = Spool(path, parser)
        for line in spool.lines():
            output.write(line.format().encode("ascii"))
            totals.add_line(line)
        found.complete = found.complete and spool.complete
        found.lost = None if found.lost is None or spool.lost is None else found.lost + spool.lost
        found.reasons += [reason for reason in spool.reasons if reason not in found.reasons]
    proved = found.format().encode("ascii")
    if proved != believed:
        _move_rest(output, start + len(believed), len(proved) - len(believed))
        output.seek(start)
        output.write(proved)
        output.seek(0, os.SEEK_END)
    totals.add(found)
    return totals


def _move_rest(file: BinaryIO, begin: int, distance: int) -> None:
    """Move all from `begin` to the end of a file by some bytes, in flat memory."""
    size = file.seek(0, os.SEEK_END)
    offsets = range(begin, size, _CHUNK)
    for offset in reversed(offsets) if distance > 0 else offsets:
        file.seek(offset)
        chunk = file.read(_CHUNK)
        file.seek(offset + distance)
        file.write(chunk)
    file.truncate(size + distance)


def _write_records(output: BinaryIO, totals: Totals) -> None:
    for record in totals.records():
        output.write(record.format().encode("ascii"))


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
