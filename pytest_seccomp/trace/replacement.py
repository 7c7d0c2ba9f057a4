"""Replacing the two files of a trace together, or a single one: what is old stays whole until what is new is."""

import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.destination import Destination
from pytest_seccomp.trace.reading import os_text, remedy

_BUFFER = 1024 * 1024  # few system calls: the writer may itself be traced


@dataclass(slots=True)
class Replacement:
    """The new files while they are written."""

    tests: BinaryIO
    records: BinaryIO


@contextmanager
def replacing(destination: Destination) -> Iterator[Replacement]:
    """Two new files that take the place of the old ones if the block ends well, and vanish if it does not.

    To be used under the lock. Raises TraceError where writing fails, a full disk for one; the old files are then as
    they were. Written beside the old ones, because a file cannot be renamed into another file system.
    """
    with _drafts(destination.path, (destination.tests, destination.path)) as drafts:
        with _draft(destination.tests, drafts) as tests, _draft(destination.path, drafts) as records:
            yield Replacement(tests, records)
        # Closing has reported what a network file system could not write. No fsync: it can take longer than the merge,
        # and guards against a power cut alone. A trace can be made again, and whoever reads a torn one is told.
        _replace_both(destination, *drafts)
        drafts.clear()


@contextmanager
def replacing_one(path: Path) -> Iterator[BinaryIO]:
    """The same for a single file."""
    with _drafts(path, (path,)) as drafts:
        with _draft(path, drafts) as file:
            yield file
        os.replace(drafts[0], path)
        drafts.clear()


@contextmanager
def _drafts(path: Path, targets: tuple[Path, ...]) -> Iterator[list[Path]]:
    """A list for the drafts that the block makes: those that are left in it at the end are removed. Raises TraceError,
    which speaks of `path`, where the block raises OSError."""
    drafts: list[Path] = []
    try:
        for target in targets:
            _sweep(target)
        yield drafts
    except OSError as error:
        message = f"cannot write {path}: {os_text(error)}: {remedy(error)}"
        raise TraceError(f"{message}; what was there is unchanged") from error
    finally:
        for draft in drafts:
            with suppress(OSError):  # gone already, or the directory is: then there is nothing to tidy up
                draft.unlink()


def _prefix(target: Path) -> str:
    """How the names of drafts for `target` begin; as short for a long name."""
    return f".pytest-seccomp-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}-"


def _sweep(target: Path) -> None:
    """Remove drafts of runs that were killed while they wrote. Whoever holds the lock may: nobody else has any."""
    for old in target.parent.glob(f"{_prefix(target)}*"):
        with suppress(OSError):  # somebody else's, in a sticky directory: it does no harm
            old.unlink()


def _draft(target: Path, drafts: list[Path]) -> BinaryIO:
    """A new file for `target`, noted in `drafts`, with the owner and mode that writing to `target` would leave."""
    target.parent.mkdir(parents=True, exist_ok=True)  # a test may have removed it
    draft = target.with_name(f"{_prefix(target)}{secrets.token_hex(8)}.tmp")
    # Not mkstemp, which makes files that nobody else may read: this is the mode that open() gives.
    descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    drafts.append(draft)
    file = os.fdopen(descriptor, "w+b", buffering=_BUFFER)
    try:
        _adopt(descriptor, target)
    except BaseException:
        file.close()
        raise
    return file


def _adopt(descriptor: int, target: Path) -> None:
    """Give the new file the owner and mode of the one that it will replace, if there is one."""
    try:
        old = target.stat()
    except FileNotFoundError:
        return
    new = os.fstat(descriptor)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        with suppress(PermissionError):  # only root may give files away: anybody else's file becomes ours
            os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode) & 0o777)


def _replace_both(destination: Destination, tests: Path, records: Path) -> None:
    """Tests first: PATH follows from them, so that after a crash in between `merge` makes it from them again."""
    kept = tests.with_suffix(".old")
    try:
        _keep(destination.tests, kept)
        os.replace(tests, destination.tests)
        try:
            os.replace(records, destination.path)
        except OSError:
            if kept.exists():
                os.replace(kept, destination.tests)
            else:
                destination.tests.unlink()
            raise
    finally:
        kept.unlink(missing_ok=True)


def _keep(path: Path, kept: Path) -> None:
    """A second name for a file, if there is one; a copy where there are no hard links: not in the file system, or not
    for this process."""
    with suppress(FileNotFoundError):
        try:
            os.link(path, kept)
        except OSError:
            shutil.copy2(path, kept)
