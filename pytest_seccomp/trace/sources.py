"""Existing traces as input: which files make up one trace, and whether they are sound."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.paths import irregular, is_tests_path, path_of, real_path, tests_path
from pytest_seccomp.trace.reading import LineParser, os_text, parsed_lines
from pytest_seccomp.trace.records import Line, Record, Run, Untold
from pytest_seccomp.trace.totals import Totals


@dataclass(slots=True)
class Source:
    """One trace: PATH, its tests file, or both. What the tests file says goes, for PATH follows from it."""

    path: Path | None
    tests: Path | None

    @property
    def files(self) -> list[Path]:
        """Those that it has."""
        return [path for path in (self.path, self.tests) if path is not None]

    def items(self, parser: LineParser, totals: Totals) -> Iterator[tuple[bytes, Run | Line | Untold]]:
        """The lines of its tests file, each as it stands and as it is understood, added to `totals`. Where there is
        only PATH, one line with its records.

        Whoever reads to the end has a sound trace. TraceError where a file is no trace, is empty, lacks its beginning,
        lacks its end, or where PATH does not follow from the tests file.
        """
        # PATH first, which is short: whoever replaces the two meanwhile then has little time to come in between.
        records = None if self.path is None else _read_records(self.path, parser)
        if self.tests is None:
            assert self.path is not None, "a source has at least one file"
            if not records:
                raise _empty(self.path)
            untold = Untold(records, complete=all(record.complete for record in records))
            totals.add(untold)
            yield untold.format().encode("ascii"), untold
            return
        whole = 0
        for raw, item in parsed_lines(self.tests, _in_order(parser)):
            totals.add(item)
            if not isinstance(item, Line) and item.lines is not None:
                whole = max(whole, totals.lines + item.lines)
            yield raw, item
        if not totals.lines:
            raise _empty(self.tests)
        if totals.lines < whole:
            raise TraceError(
                f"{self.tests} is not whole, it has {totals.lines} lines of {whole}: record it anew or leave it out"
            )
        if records is not None and records != totals.records():
            raise TraceError(
                f"{self.path} and {self.tests} do not agree: one of them is damaged, of another run, or being replaced "
                "just now: try again, or move the wrong one away"
            )

    def write_to(self, output: BinaryIO) -> Totals:
        """Append it to a tests file, line by line as it stands, and say what it adds up to. TraceError as `items`."""
        totals = Totals()
        for raw, _ in self.items(LineParser(), totals):
            output.write(raw if raw.endswith(b"\n") else raw + b"\n")
        return totals


def find(path: Path) -> Source:
    """The trace that a user means by one of its files, with the other one if it lies beside it.

    TraceError where the file cannot be read.
    """
    try:
        kind = irregular(path.stat().st_mode)
        if kind is not None:
            raise TraceError(f"{path} is {kind}, which cannot be read as a trace: name a file")
        first = next((item for _, item in parsed_lines(path, LineParser())), None)
        file = real_path(path) if path.is_symlink() else path  # beside which the other one lies
        if isinstance(first, Record) or (first is None and not is_tests_path(file)):
            return Source(path, _if_there(tests_path(file)))
        return Source(_if_there(path_of(file)), path)
    except (OSError, ValueError) as error:  # ValueError: a name with NUL
        raise TraceError(f"cannot read {path}: {os_text(error)}: name a trace or its tests file") from error


def find_all(paths: Iterable[Path]) -> list[Source]:
    """The traces that a user means by these files, which may be PATH, a tests file or both, in their order.

    TraceError where one is given twice, for it would count twice.
    """
    named = list(paths)
    found = [find(path) for path in named]
    refuse_repeated(named)
    sources: dict[tuple[int, int], Source] = {}
    for source in found:
        sources.setdefault(_identity(source.files[-1]), source)
    return list(sources.values())


def refuse_repeated(paths: Iterable[Path]) -> None:
    """TraceError where a file or a directory is given twice, by whatever names, for it would count twice."""
    given: set[tuple[int, int]] = set()
    for path in paths:
        identity = _identity(path)
        if identity in given:
            raise TraceError(f"{path} is given twice and would count twice: name it once")
        given.add(identity)


def _in_order(parser: LineParser) -> Callable[[str], Run | Line | Untold]:
    """Understands the lines of one tests file from its beginning on: what a run made follows the line of the run."""
    in_run = False

    def parse(text: str) -> Run | Line | Untold:
        nonlocal in_run
        item = parser(text)
        if isinstance(item, Record):
            raise ValueError("a record of a trace among its tests")
        if isinstance(item, Line):
            if not in_run:
                raise ValueError("the line of the run is missing before it")
        else:
            in_run = isinstance(item, Run)
        return item

    return parse


def _read_records(path: Path, parser: LineParser) -> list[Record]:
    records = []
    for _, item in parsed_lines(path, parser):
        if not isinstance(item, Record):
            raise TraceError(
                f"{path}: the tests of a trace where its records should be: name the other file of the two"
            )
        records.append(item)
    return records


def _empty(path: Path) -> TraceError:
    # Also PATH alone: loading and collecting tests always makes calls, so that one without a record was cut off.
    return TraceError(f"{path} is empty, as no trace is: record it anew or leave it out")


def _if_there(path: Path | None) -> Path | None:
    return path if path is not None and path.is_file() else None


def _identity(path: Path) -> tuple[int, int]:
    """Which file it is, by whatever name."""
    found = os.stat(path)
    return found.st_dev, found.st_ino
