"""Cgroups of version 2 that a test makes, and removes with all that is in them."""

import contextlib
import errno
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from running import until


def hierarchy() -> Path | None:
    """Where version 2 is mounted, None where it is not."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[fields.index("-") + 1] == "cgroup2":
            return Path(fields[4])
    return None


@dataclass(frozen=True, slots=True)
class Group:
    """A cgroup of a test."""

    folder: Path

    @classmethod
    @contextlib.contextmanager
    def make(cls, folder: Path) -> Iterator[Self]:
        """Make it, and remove it, which the kernel allows when it is empty: from Linux 6.19 on somewhat later than a
        process in it was waited for."""
        folder.mkdir()
        try:
            yield cls(folder)
        finally:
            until("the end of an empty cgroup", lambda: _removed(folder))

    def child(self) -> contextlib.AbstractContextManager["Group"]:
        """One below it."""
        return Group.make(self.folder / "child")

    def enter(self, pid: int) -> None:
        """Move a process into it."""
        (self.folder / "cgroup.procs").write_text(str(pid))

    @contextlib.contextmanager
    def process(self) -> "Iterator[subprocess.Popen[bytes]]":
        """A process in it, which does nothing."""
        child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE)
        try:
            self.enter(child.pid)
            yield child
        finally:
            child.communicate()


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def made_cgroup() -> contextlib.AbstractContextManager[Group]:
    """A new one at the top of the hierarchy."""
    top = hierarchy()
    assert top is not None
    return Group.make(top / f"pytest-seccomp-{uuid.uuid4().hex}")


def missing() -> str | None:
    """Why a test cannot make one."""
    if hierarchy() is None:
        return "no cgroup hierarchy of version 2 is mounted"
    try:
        with made_cgroup() as made, made.process():
            return None
    except OSError as error:
        return f"no cgroup can be made: {error}"
