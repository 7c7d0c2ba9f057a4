"""A place for a result file, and why one is refused before the run."""

import os
import re
import stat
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.paths import irregular, real_path

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
class Place:
    """A place that a user has named. Its methods raise TraceError, one line with what to do, where it cannot take what
    it is for, and OSError or ValueError (a name with NUL) where the system says so."""

    named: Path
    """As the user has named it."""
    what: str
    """What is to be written, for messages: "a trace"."""

    def real(self) -> Path:
        """The file that it means now, whatever the working directory is later; refused where it is a stream."""
        if str(self.named) == "-" or os.path.abspath(self.named).startswith(_STREAMS):
            self.refuse(f"{self.what} is replaced as a whole and cannot go to a stream or into /proc", "name a file")
        return real_path(self.named)

    def check_there(self, real: Path) -> bool:
        """Whether there is a file, which can be replaced; where there is none, one would have to last."""
        there = self.check_regular(real)
        if not there and real.is_relative_to("/dev") and not real.is_relative_to("/dev/shm"):
            self.refuse("a file there is gone when the machine stops", "name one elsewhere")
        return there

    def check_regular(self, path: Path) -> bool:
        """Whether there is a file at a path, which can be replaced."""
        try:
            found = path.lstat()
        except FileNotFoundError:
            return False
        kind = irregular(found.st_mode)
        if kind is not None:
            self.refuse(f"it is {kind}", "name a file")
        if _is_mount_point(path):  # a single file mounted into a container: EBUSY when it is to be replaced
            self.refuse("it is a mount point and cannot be replaced", "mount its directory instead")
        if not os.access(path, os.W_OK, effective_ids=True):
            if _is_another(path, found):  # a lock that its holder has removed meanwhile
                return self.check_regular(path)
            self.refuse("no right to write to it", "name another file")
        directory = path.parent.stat()
        if directory.st_mode & stat.S_ISVTX and os.geteuid() not in (0, found.st_uid, directory.st_uid):
            self.refuse("in a sticky directory only its owner can replace it", "name another file")
        return True

    def refuse(self, reason: str, remedy: str, cause: Exception | None = None) -> NoReturn:
        """Say why, and what to do."""
        raise TraceError(f"cannot write {self.what} to {self.named}: {reason}: {remedy}") from cause


def lock_of(real: Path) -> Path:
    """The file that is locked while the one at `real` is replaced."""
    return real.with_name(f"{real.name}.lock")


def check_writable(directories: Iterable[Path]) -> None:
    """OSError where files cannot be made in one of them. No name, nothing left behind: only whether the file system and
    our rights let us."""
    for directory in directories:
        with tempfile.TemporaryFile(dir=directory):
            pass


def _is_another(path: Path, found: os.stat_result) -> bool:
    """Whether what was found at a path is not there any more."""
    try:
        now = path.lstat()
    except FileNotFoundError:
        return True
    return (now.st_ino, now.st_ctime_ns) != (found.st_ino, found.st_ctime_ns)


def _is_mount_point(path: Path) -> bool:
    """From proc_pid_mountinfo(5). os.path.ismount does not see a file that is mounted from the same file system."""
    escaped = re.sub(rb"[\\ \t\n]", lambda match: b"\\%03o" % match[0][0], os.fsencode(path))
    with open("/proc/self/mountinfo", "rb") as file:
        return any(line.split(b" ", 5)[4] == escaped for line in file)
