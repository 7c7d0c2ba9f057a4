"""Where a trace goes: its two files and its lock, and why a place is refused before the run."""

import os
import re
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.reading import LineParser, os_text, parsed_lines
from pytest_seccomp.trace.records import Record

_STREAMS = ("/dev/fd/", "/dev/std", "/proc/")

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISLNK, "a symbolic link that leads nowhere"),
)


def tests_path(path: Path) -> Path:
    """PATH with `.tests` before its suffix: `out.ndjson` has `out.tests.ndjson`, `out` has `out.tests`."""
    return path.with_name(f"{path.stem}.tests{path.suffix}")


def real_path(path: Path) -> Path:
    """The absolute path with all symbolic links followed, whether there is a file or not."""
    return Path(os.path.realpath(path))


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
        With `append` the trace that is there must be sound as well.
        """
        try:
            if str(path) == "-" or os.path.abspath(path).startswith(_STREAMS):
                _refuse(path, "a trace is replaced as a whole and cannot go to a stream", "name a file")
            real = real_path(path)
            if real.stem.endswith(".tests") or real.suffix == ".tests":
                _refuse(path, "that is how the file with the tests of a trace is named", "leave out .tests")
            there = _regular(path, real)
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
                _check_content(path, real, of_records=True, whole=append)
            if tests.exists():
                _check_content(tests, tests, of_records=False, whole=False)
            return cls(real, tests, lock, Identity.of(real))
        except OSError as error:
            _refuse(path, os_text(error), "name a place that you can write to")


def _regular(named: Path, path: Path) -> bool:
    """Whether there is a file, which can be replaced. `named` is what the user calls it."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    for is_kind, kind in _KINDS:
        if is_kind(found.st_mode):
            _refuse(named, f"it is {kind}", "name a file")
    if _is_mount_point(path):  # a single file mounted into a container: EBUSY when it is to be replaced
        _refuse(named, "it is a mount point and cannot be replaced", "mount its directory instead")
    if not os.access(path, os.W_OK, effective_ids=True):
        _refuse(named, "no right to write to it", "remove it or name another file")
    directory = path.parent.stat()
    if directory.st_mode & stat.S_ISVTX and os.geteuid() not in (0, found.st_uid, directory.st_uid):
        _refuse(named, "in a sticky directory only its owner can replace it", "name another file")
    return True


def _is_mount_point(path: Path) -> bool:
    """From proc_pid_mountinfo(5). os.path.ismount does not see a file that is mounted from the same file system."""
    escaped = re.sub(rb"[\\ \t\n]", lambda match: b"\\%03o" % match[0][0], os.fsencode(path))
    with open("/proc/self/mountinfo", "rb") as file:
        return any(line.split(b" ", 5)[4] == escaped for line in file)


def _check_content(named: Path, path: Path, *, of_records: bool, whole: bool) -> None:
    """Refuse a file that is neither empty nor what it should be; judge by its first line, or by all of them."""
    records: set[bool] = set()
    try:
        for _, item in parsed_lines(path, LineParser()):
            records.add(isinstance(item, Record))
            if not whole:
                break
    except TraceError as error:
        if whole:
            raise
        _refuse(named, "there is a file that is no trace", "remove it or name another file", error)
    if records - {of_records}:
        _refuse(named, "there is the other one of the two files of a trace", "remove it or name another file")


def _refuse(path: Path, reason: str, remedy: str, cause: Exception | None = None) -> NoReturn:
    raise TraceError(f"cannot write a trace to {path}: {reason}: {remedy}") from cause
