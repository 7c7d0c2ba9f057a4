"""What the recorders of a run wrote, as input: a run that is not yet a trace."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from pytest_seccomp.trace.length import rewrite
from pytest_seccomp.trace.records import Line, Run
from pytest_seccomp.trace.spool import Spool, SpoolParser
from pytest_seccomp.trace.totals import Totals

Visit = Callable[[Line], None]
"""Is shown each line of a test, of a collection or a harness."""


@dataclass(slots=True, frozen=True)
class Recorded:
    """A run and its spools."""

    run: Run
    """`complete`, `lost` and `reasons` are what the caller knows; what the spools say is added to it."""
    spools: Sequence[Path]

    @property
    def files(self) -> Sequence[Path]:
        """Those that it is read from."""
        return self.spools

    def read(self, visit: Visit) -> Totals:
        """Show the lines of its spools, without writing them anywhere; says what they add up to."""
        totals = Totals()
        found = replace(self.run, reasons=list(self.run.reasons))
        for line in self._lines(found, totals):
            visit(line)
        totals.add(found)
        return totals

    def write_to(self, output: BinaryIO, visit: Visit | None = None) -> Totals:
        """Append the run's line and those of its spools to a tests file, in one pass; says what they add up to."""
        # Its line comes first, but how complete it was shows last. It is almost always as complete as the caller
        # believes, and so the line as long.
        start = output.tell()
        believed = replace(self.run, lines=0).format().encode("ascii")
        output.write(believed)
        totals = Totals()
        found = replace(self.run, reasons=list(self.run.reasons))
        for line in self._lines(found, totals):
            output.write(line.format().encode("ascii"))
            if visit is not None:
                visit(line)
        found.lines = totals.lines
        rewrite(output, start, len(believed), found.format().encode("ascii"))
        totals.add(found)
        return totals

    def _lines(self, found: Run, totals: Totals) -> Iterator[Line]:
        """Those of its spools, added to the totals; what they say of the run is added to `found`."""
        parser = SpoolParser()
        for path in self.spools:
            spool = Spool(path, parser)
            for line in spool.lines():
                totals.add_line(line)
                yield line
            found.complete = found.complete and spool.complete
            found.lost = None if found.lost is None or spool.lost is None else found.lost + spool.lost
            found.reasons += [reason for reason in spool.reasons if reason not in found.reasons]
