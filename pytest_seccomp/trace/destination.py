"""Where a trace goes: its two files and its lock, and why a place is refused before the run."""

from dataclasses import dataclass
from pathlib import Path

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.paths import is_tests_path, real_path, tests_path
from pytest_seccomp.trace.place import Identity, Place, check_writable, lock_of
from pytest_seccomp.trace.reading import LineParser, os_text, parsed_lines
from pytest_seccomp.trace.records import Record
from pytest_seccomp.trace.sources import Source
from pytest_seccomp.trace.totals import Totals

_TRACE = "a trace"


@dataclass(slots=True, frozen=True)
class Destination:
    """A place that can take a trace, as far as can be known beforehand."""

    path: Path
    tests: Path
    lock: Path
    seen: Identity | None
    """The file that was there when the place was checked."""

    @classmethod
    def check(cls, path: Path, *, append: bool = False) -> "Destination":
        """The place that PATH names now, whatever the working directory is later; makes missing directories.

        Raises TraceError, one line with what to do, for what cannot become a trace or should not: a stream, a
        directory, a device or anything else that is no regular file, a place without the right to write, a file with
        other content than a trace (an option without its value takes the next argument, which may be somebody's test).
        With `append` the trace that is there must be sound, both files to their ends.
        """
        place = Place(path, _TRACE)
        try:
            real = place.real()
            if is_tests_path(real):
                place.refuse("that is how the file with the tests of a trace is named", "leave out .tests")
            there = place.check_there(real)
            real.parent.mkdir(parents=True, exist_ok=True)
            tests = real_path(tests_path(real))
            lock = lock_of(real)
            Place(tests, _TRACE).check_regular(tests)
            Place(lock, _TRACE).check_regular(lock)
            check_writable({real.parent, tests.parent})
            if there:
                _check_content(place, real, of_records=True)
            if tests.exists():
                _check_content(Place(tests, _TRACE), tests, of_records=False)
            destination = cls(real, tests, lock, Identity.of(real))
            if append:
                destination._check_earlier(path)
            return destination
        except (OSError, ValueError) as error:  # ValueError: a name with NUL
            place.refuse(os_text(error), "name a place that you can write to", error)

    def earlier(self) -> Source | None:
        """The trace that is there now, to append to; None where there is none, which an empty file is as well: it was
        made for us. A tests file without PATH is what somebody has left behind who removed PATH to begin anew.
        """
        if not self.path.exists():
            return None
        source = Source(self.path, self.tests if self.tests.exists() else None)
        return None if source.tests is None and not self.path.stat().st_size else source

    def _check_earlier(self, named: Path) -> None:
        """Refuse what cannot be appended to before the run, not after it."""
        earlier = self.earlier()
        if earlier is None:
            return
        try:
            for _ in earlier.items(LineParser(), Totals()):
                pass
        except TraceError as error:
            raise TraceError(f"cannot add to the trace {named}: {error}") from error


def _check_content(place: Place, path: Path, *, of_records: bool) -> None:
    """Refuse a file that is neither empty nor what it should be; judge by its first line."""
    try:
        first = next((item for _, item in parsed_lines(path, LineParser())), None)
    except TraceError as error:
        place.refuse("there is a file that is no trace", "name another file", error)
    if first is not None and isinstance(first, Record) is not of_records:
        place.refuse("there is the other one of the two files of a trace", "name another file")
