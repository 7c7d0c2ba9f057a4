"""The lock under which a trace is replaced: on PATH.lock, never on PATH, which is a new file after each replacement.

filelock leaves its file behind, because removing it is unsafe for those who do not expect it: a process that already
waits for the file gets its lock although the name is gone, while a third one makes and locks a new file
(https://github.com/tox-dev/filelock/issues/574). It is safe among those who all do two things: remove it only while
holding its lock, and look, once the lock is there, whether the name still leads to the file that is locked. Then
whoever holds the lock holds the file at that name, which nobody else may remove. So no file stays behind in the user's
directory, unless we are killed at the wrong moment, and such a file does no harm.

The look is ours and goes by the name, because filelock's own, at the link count, is not enough on NFS: there a file
that is open keeps its last link under another name.
"""

import functools
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.reading import os_text, remedy

PATIENCE = 600.0
"""Seconds to wait for others. Merging takes seconds at most; the lock of a process that died is free at once."""


class _RemovedMeanwhile(Exception):
    """We hold a lock on a file that is not the one at its name any more."""


@contextmanager
def locked(path: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock on the file `path`, which exists only for that. TraceError where it cannot be had."""
    # Here, after the tests: before 4.2 it brings asyncio, ssl and sqlite3 along, and a test could find those.
    filelock = _filelock()

    def look(descriptor: int) -> None:
        try:
            named = os.stat(path, follow_symlinks=False)
        except FileNotFoundError:
            raise _RemovedMeanwhile from None
        if not os.path.samestat(named, os.fstat(descriptor)):
            raise _RemovedMeanwhile

    lock = filelock.FileLock(path, timeout=patience, on_acquired=look)
    while True:
        try:
            with _unlogged():
                lock.acquire()
            break
        except _RemovedMeanwhile:
            continue
        except filelock.Timeout as error:
            message = (
                f"{path} has been locked for {patience:g} s: another run still merges, or hangs; end it, run again"
            )
            raise TraceError(message) from error
        except OSError as error:
            its_remedy = remedy(error, "name a place that you can write to")
            raise TraceError(f"cannot lock {path}: {os_text(error)}: {its_remedy}") from error
    try:
        yield
    finally:
        # Nothing depends on it, so that it is no error: the directory may have become unwritable, or be gone.
        with suppress(OSError):
            path.unlink()
        with _unlogged():
            lock.release()


@contextmanager
def _unlogged() -> Iterator[None]:
    """What filelock logs at DEBUG would stand in the report of a session that shows such (`--log-cli-level`)."""
    import logging  # which filelock has imported

    logger = logging.getLogger("filelock")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


@functools.cache
def _filelock() -> Any:
    """The package of that name, also where a test has left a module of its own in its place. Raises TraceError where it
    cannot be imported."""
    others = _taken_out()
    try:
        found = importlib.import_module("filelock")
        _ = found.FileLock, found.Timeout
    except Exception as error:  # whatever a file that is found in its place does
        message = f"cannot import filelock: {type(error).__name__}: {error}: let no other module have its name"
        raise TraceError(message) from error
    finally:
        if others:
            _taken_out()
            sys.modules.update(others)
    return found


def _taken_out() -> dict[str, Any]:
    """The modules that have its name, which are imported no more then."""
    names = [name for name in sys.modules if name.partition(".")[0] == "filelock"]
    return {name: sys.modules.pop(name) for name in names}
