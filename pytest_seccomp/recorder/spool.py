"""The recorder's file: one JSON line for each run of a test, for the collection and the harness, and one that ends it.

The lock that the recorder holds on its spool says that it still writes: whoever merges waits for it.
"""

import errno
import fcntl
import os
import time

_TEST = b'{"kind":"test",'
"""How the ledger begins the line of a test."""


class Spool:
    """Appends whole lines. A line that does not fit (disk full) is taken back, so that none is torn, and the first
    error is kept in `error`."""

    __slots__ = ("_descriptor", "_length", "error", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.error: str | None = None
        self._length = 0
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def write(self, line: str) -> None:
        """Append a line, given without its end, by one write."""
        data = line.encode("ascii") + b"\n"
        try:
            written = os.write(self._descriptor, data)
            if written == len(data):
                self._length += written
                return
            self._take_back()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self.error = self.error or f"{self.path}: {error.strerror}"

    def _take_back(self) -> None:
        os.ftruncate(self._descriptor, self._length)

    def check(self) -> None:
        """See that what was written is there; if it is not, that is an `error`."""
        try:
            if os.fstat(self._descriptor).st_size != self._length:
                self.error = self.error or f"{self.path}: somebody has changed what was recorded"
        except OSError as error:
            self.error = self.error or f"{self.path}: {error.strerror}"

    def close(self) -> None:
        """Give up the lock, in the name of every process that has inherited it."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self.forget()

    def forget(self) -> None:
        """Close the file in a process that has inherited it and does not write it."""
        os.close(self._descriptor)


class Unwritten(Spool):
    """The spool of a recorder that writes nothing."""

    __slots__ = ()

    def __init__(self) -> None:
        self.path, self.error = os.devnull, None

    def write(self, line: str) -> None:
        """Leave it."""

    def check(self) -> None:
        """There is nothing to see."""

    def close(self) -> None:
        """There is nothing to close."""

    def forget(self) -> None:
        """There is nothing to forget."""


def has_tests(path: str) -> bool:
    """Whether a run of a test is in this spool, to its end or not."""
    try:
        with open(path, "rb") as file:
            return any(line.startswith(_TEST) for line in file)
    except FileNotFoundError:
        return False  # somebody has removed it


def wait_until_closed(paths: list[str], seconds: float) -> list[str]:
    """Wait, for some seconds at most, until no recorder writes these spools any more; returns those still written."""
    deadline = time.monotonic() + seconds
    waiting = list(paths)
    while True:
        waiting = [path for path in waiting if _is_written(path)]
        if not waiting or time.monotonic() >= deadline:
            return waiting
        time.sleep(0.02)


def _is_written(path: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False  # somebody has removed it
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
