"""The deny log, PATH of `--seccomp-deny-log`: one line for each denial.

A log from which denials may be missing says so in its first line, `{"complete": false, "reasons": [...]}`. The first
line, whatever it is, says how many follow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from json import dumps, loads
from pathlib import Path
from typing import Any

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.denials import Denial, Spooled
from pytest_seccomp.trace.length import lines_in, with_lines
from pytest_seccomp.trace.lock import locked
from pytest_seccomp.trace.members import BOOL, take, texts
from pytest_seccomp.trace.place import Identity, Place, check_writable, lock_of
from pytest_seccomp.trace.reading import os_text, parse_object, parsed_lines
from pytest_seccomp.trace.replacement import replacing_one

_DENY_LOG = "a deny log"


@dataclass(slots=True, frozen=True)
class Incomplete:
    """The first line of a log from which denials may be missing."""

    reasons: tuple[str, ...]

    def format(self) -> str:
        """The line as the file has it, newline included."""
        return dumps({"complete": False, "reasons": self.reasons}) + "\n"

    @classmethod
    def from_object(cls, members: dict[str, Any]) -> "Incomplete":
        """From the members of that line; ValueError for others."""
        if take(members, "complete", BOOL):
            raise ValueError('"complete" cannot be true')
        return cls(texts(members, "reasons"))


@dataclass(slots=True, frozen=True)
class DenyLog:
    """A place that can take a deny log, as far as can be known beforehand."""

    path: Path
    lock: Path
    seen: Identity | None
    """The file that was there when the place was checked."""

    @classmethod
    def check(cls, path: Path) -> "DenyLog":
        """The place that PATH names now, whatever the working directory is later; makes missing directories.

        Raises TraceError, one line with what to do, for what cannot become a deny log or should not, as
        `Destination.check` does for a trace.
        """
        place = Place(path, _DENY_LOG)
        try:
            real = place.real()
            there = place.check_there(real)
            real.parent.mkdir(parents=True, exist_ok=True)
            lock = lock_of(real)
            Place(lock, _DENY_LOG).check_regular(lock)
            check_writable([real.parent])
            if there:
                try:
                    next(read(real), None)
                except TraceError as error:
                    place.refuse("there is a file that is no deny log", "name another file", error)
            return cls(real, lock, Identity.of(real))
        except (OSError, ValueError) as error:  # ValueError: a name with NUL
            place.refuse(os_text(error), "name a place that you can write to", error)

    def write(self, found: Spooled) -> bool:
        """Replace the file by what was found. Returns whether it was one that was not there when the place was checked:
        another run's. Raises TraceError where it cannot be written; what was there is then unchanged."""
        incomplete = [] if found.complete else [Incomplete(tuple(found.reasons)).format()]
        following = len(incomplete) + len(found.denials) - 1
        with locked(self.lock), replacing_one(self.path) as file:
            before = Identity.of(self.path)
            for number, line in enumerate(chain(incomplete, (denial.format() for denial in found.denials))):
                file.write((line if number else with_lines(loads(line), following)).encode("ascii"))
        return before is not None and before != self.seen


def read(path: Path) -> Iterator[Denial | Incomplete]:
    """The lines of a deny log. Raises TraceError, with file and line, for a file that cannot be read or is none, and at
    its end for one that has fewer lines than it says."""
    lines = whole = 0
    for _, (item, following) in parsed_lines(path, _parse):
        lines += 1
        whole = max(whole, lines + following)  # also of logs that were put together
        yield item
    if lines < whole:
        raise TraceError(f"{path} is not whole, it has {lines} lines of {whole}: record it anew or leave it out")


def _parse(text: str) -> tuple[Denial | Incomplete, int]:
    """A line, and how many follow it at least."""
    members = parse_object(text)
    item = Incomplete.from_object(members) if "complete" in members else Denial.from_object(members)
    return item, lines_in(members) or 0
