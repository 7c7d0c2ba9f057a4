"""Where a trace goes: its two files and its lock, and why a place is refused before the run."""

import os
import re
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.paths import irregular, is_tests_path, real_path, tests_path
from pytest_seccomp.trace.reading import LineParser, os_text, parsed_lines
from pytest_seccomp.trace.records import Record
from pytest_seccomp.trace.sources import Source
from pytest_seccomp.trace.totals import Totals

_STREAMS = ("/dev/fd/", "/dev/std", "/proc/")


@dataclass(slots=True, frozen=True)
class Identity:
    """Which file it is, and which content: atomic replacement changes it, as does writing to it."""

    device: int
    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> "Identity | None":
        """Of the file that is there now; None where none is. OSError where that cannot be found out."""
        try:
            found = path.stat()
        except FileNotFoundError:
            return None
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


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
        try:
            if str(path) == "-" or os.path.abspath(path).startswith(_STREAMS):
                _refuse(path, "a trace is replaced as a whole and cannot go to a stream or into /proc", "name a file")
            real = real_path(path)
            if is_tests_path(real):
                _refuse(path, "that is how the file with the tests of a trace is named", "leave out .tests")
            there = _regular(path, real)
            if not there and real.is_relative_to("/dev") and not real.is_relative_to("/dev/shm"):
                _refuse(path, "a file there is gone when the machine stops", "name one elsewhere")
            real.parent.mkdir(parents=True, exist_ok=True)
            tests = real_path(tests_path(real))
            lock = real.with_name(f"{real.name}.lock")
            _regular(tests, tests)
            _regular(lock, lock)
            # No name, nothing left behind: only whether the file system and our rights let us make a file there.
            for directory in {real.parent, tests.parent}:
                with tempfile.TemporaryFile(dir=directory):
                    pass
            if there:
                _check_content(path, real, of_records=True)
            if tests.exists():
                _check_content(tests, tests, of_records=False)
            place = cls(real, tests, lock, Identity.of(real))
            if append:
                place._check_earlier(path)
            return place
        except (OSError, ValueError) as error:  # ValueError: a name with NUL
            _refuse(path, os_text(error), "name a place that you can write to")

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


def _regular(named: Path, path: Path) -> bool:
    """Whether there is a file, which can be replaced. `named` is what the user calls it."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    kind = irregular(found.st_mode)
    if kind is not None:
        _refuse(named, f"it is {kind}", "name a file")
    if _is_mount_point(path):  # a single file mounted into a container: EBUSY when it is to be replaced
        _refuse(named, "it is a mount point and cannot be replaced", "mount its directory instead")
    if not os.access(path, os.W_OK, effective_ids=True):
        _refuse(named, "no right to write to it", "name another file")
    directory = path.parent.stat()
    if directory.st_mode & stat.S_ISVTX and os.geteuid() not in (0, found.st_uid, directory.st_uid):
        _refuse(named, "in a sticky directory only its owner can replace it", "name another file")
    return True


def _is_mount_point(path: Path) -> bool:
    """From proc_pid_mountinfo(5). os.path.ismount does not see a file that is mounted from the same file system."""
    escaped = re.sub(rb"[\\ \t\n]", lambda match: b"\\%03o" % match[0][0], os.fsencode(path))
    with open("/proc/self/mountinfo", "rb") as file:
        return any(line.split(b" ", 5)[4] == escaped for line in file)


def _check_content(named: Path, path: Path, *, of_records: bool) -> None:
    """Refuse a file that is neither empty nor what it should be; judge by its first line."""
    try:
        first = next((item for _, item in parsed_lines(path, LineParser())), None)
    except TraceError as error:
        _refuse(named, "there is a file that is no trace", "name another file", error)
    if first is not None and isinstance(first, Record) is not of_records:
        _refuse(named, "there is the other one of the two files of a trace", "name another file")


def _refuse(path: Path, reason: str, remedy: str, cause: Exception | None = None) -> NoReturn:
    raise TraceError(f"cannot write a trace to {path}: {reason}: {remedy}") from cause
