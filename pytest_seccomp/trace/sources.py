"""Existing traces as input: which files make up one trace, and copying them into a new tests file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.destination import real_path, tests_path
from pytest_seccomp.trace.reading import LineParser, parsed_lines
from pytest_seccomp.trace.records import Line, Record, Run, Untold
from pytest_seccomp.trace.totals import Totals


@dataclass(slots=True)
class Source:
    """One trace: PATH, its tests file, or both. What the tests file says goes, for PATH follows from it."""

    path: Path | None
    tests: Path | None

    @property
    def named(self) -> Path:
        """The file to name in messages, and to read."""
        found = self.tests or self.path
        assert found is not None  # a source has at least one
        return found

    def items(self, parser: LineParser) -> Iterator[tuple[bytes, Run | Line | Untold]]:
        """The lines of its tests file, each as it stands and as it is understood. Where there is only PATH, one line
        with its records. TraceError for a file that is no trace.
        """
        if self.tests is None:
            assert self.path is not None
            untold = _untold(self.path, read_records(self.path, parser))
            yield untold.format().encode("ascii"), untold
            return
        for raw, item in parsed_lines(self.tests, parser):
            if isinstance(item, Record):
                raise TraceError(f"{self.tests}: records of a trace, but none of its tests: give it another name")
            yield raw, item


def read_records(path: Path, parser: LineParser) -> list[Record]:
    """The lines of PATH. TraceError for any other file."""
    records = []
    for _, item in parsed_lines(path, parser):
        if not isinstance(item, Record):
            raise TraceError(
                f"{path}: the tests of a trace where its records should be: name the other file of the two"
            )
        records.append(item)
    return records


def find(path: Path) -> Source:
    """The trace that a user means by one of its files: with PATH comes its tests file, if it lies beside it.

    TraceError where the file cannot be read.
    """
    if path.exists() and not path.is_file():
        raise TraceError(f"{path} is no regular file: name one, for it is read more than once")
    first = next((item for _, item in parsed_lines(path, LineParser())), None)
    if first is not None and not isinstance(first, Record):
        return Source(None, path)
    tests = tests_path(real_path(path))
    return Source(path, tests if tests.exists() else None)


def find_all(paths: Iterable[Path]) -> list[Source]:
    """The traces that a user means by these files, which may be PATH, a tests file or both, in their order.

    TraceError where one is given twice, for it would count twice.
    """
    sources: dict[Path, Source] = {}
    given: set[Path] = set()
    for path in paths:
        real = real_path(path)
        if real in given:
            raise TraceError(f"{path} is given twice and would count twice: name it once")
        given.add(real)
        source = find(path)
        key = real_path(source.named)
        known = sources.get(key)
        if known is None or known.path is None:
            sources[key] = source
    return list(sources.values())


def copy(source: Source, output: BinaryIO, parser: LineParser) -> Totals:
    """Append a trace to a tests file, line by line, and say what it adds up to.

    Raises TraceError for a file that is no trace, and where PATH and its tests file are not of the same run.
    """
    totals = Totals()
    for raw, item in source.items(parser):
        output.write(raw if raw.endswith(b"\n") else raw + b"\n")
        totals.add(item)
    return totals


def check_pair(source: Source, totals: Totals, parser: LineParser) -> None:
    """TraceError where PATH does not follow from the lines of its tests file, which add up to `totals`."""
    if source.path is None or source.tests is None:
        return
    if read_records(source.path, parser) != totals.records():
        message = f"{source.path} and {source.tests} are not of the same run: move the one away that you do not mean"
        raise TraceError(message)


def _untold(path: Path, records: list[Record]) -> Untold:
    # Loading and collecting tests always makes calls, so that a trace without any was cut off at its very beginning,
    # and has no record that could say so.
    return Untold(records, complete=bool(records) and all(record.complete for record in records))
