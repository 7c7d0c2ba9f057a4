"""The deny log, PATH of `--seccomp-deny-log`: one line for each denial.

A log from which denials may be missing says so in its first line, `{"complete": false, "reasons": [...]}`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import Any

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.denials import Denial, Spooled
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
        with locked(self.lock), replacing_one(self.path) as file:
            before = Identity.of(self.path)
            if not found.complete:
                file.write(Incomplete(tuple(found.reasons)).format().encode("ascii"))
            for denial in found.denials:
                file.write(denial.format().encode("ascii"))
        return before is not None and before != self.seen


def read(path: Path) -> Iterator[Denial | Incomplete]:
    """The lines of a deny log. Raises TraceError, with file and line, for a file that cannot be read or is none."""
    for _, item in parsed_lines(path, _parse):
        yield item


def _parse(text: str) -> Denial | Incomplete:
    members = parse_object(text)
    return Incomplete.from_object(members) if "complete" in members else Denial.from_object(members)
