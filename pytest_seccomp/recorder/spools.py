"""The directory in which the recorders of one run write their spools, until the session that owns it merges them."""

import errno
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pytest_seccomp.errors import RecorderError
from pytest_seccomp.recorder import spool

_TOKEN = "token"
_SUFFIX = ".ndjson"


@dataclass(slots=True, frozen=True)
class SpoolDirectory:
    """A directory of our own, and the token in it by which a worker knows that it sees the same directory."""

    path: Path
    token: str

    @classmethod
    def create(cls) -> "SpoolDirectory":
        """A new one, readable by nobody else. Raises RecorderError."""
        try:
            path = Path(tempfile.mkdtemp(prefix="pytest-seccomp-"))
        except OSError as error:
            raise _no_place(tempfile.gettempdir(), error) from error
        directory = cls(path, secrets.token_hex(16))
        try:
            path.chmod(0o700)  # of which a umask may have left so little that it could not even be removed
            directory.write(_TOKEN, directory.token)
            (path / _TOKEN).read_bytes()  # nor could what is written in it be read then
        except RecorderError:
            directory.remove()
            raise
        except OSError as error:
            directory.remove()
            raise _no_place(os.fspath(path.parent), error) from error
        return directory

    def write(self, name: str, text: str) -> None:
        """Write a file in it: whole or, who or whatever comes in between, not at all. Raises RecorderError."""
        draft = self.path / f"{name}.new"
        try:
            draft.write_text(text, encoding="utf-8")
            draft.replace(self.path / name)
        except OSError as error:
            raise _no_place(os.fspath(self.path.parent), error) from error

    @classmethod
    def find(cls, path: str, token: str) -> "SpoolDirectory | None":
        """The directory that a controller made, None where it is on another machine or not visible here."""
        try:
            if (Path(path) / _TOKEN).read_text() == token:
                return cls(Path(path), token)
        except OSError:
            pass  # another machine, mount namespace or user
        return None

    @classmethod
    def at(cls, path: str) -> "SpoolDirectory":
        """The directory at a path. Raises RecorderError where it is none of ours."""
        try:
            return cls(Path(path), (Path(path) / _TOKEN).read_text())
        except OSError as error:
            raise RecorderError(f"{path}: not a directory of recorded spools: {error.strerror}") from error

    def new_spool(self, name: str) -> str:
        """A path for the spool of a recorder; `name` is that of its worker, or of what it traces."""
        return str(self.path / f"{name}-{secrets.token_hex(4)}{_SUFFIX}")

    def spools(self, name: str = "") -> list[Path]:
        """The spools that are there, in order; with a name only those of that worker. Raises OSError where this process
        may open no more files: pathlib would say that there are none."""
        try:
            names = os.listdir(self.path)
        except OSError as error:
            if error.errno == errno.EMFILE:
                raise
            return []  # somebody has removed it
        beginning = f"{name}-" if name else ""
        return sorted(self.path / found for found in names if found.startswith(beginning) and found.endswith(_SUFFIX))

    def has_tests(self) -> bool:
        """Whether a run of a test was recorded, to its end or not."""
        return any(spool.has_tests(os.fspath(path)) for path in self.spools())

    def wait_until_written(self, seconds: float) -> list[Path]:
        """Wait, for some seconds at most, until no spool is written any more. Returns those that still are."""
        return [Path(path) for path in spool.wait_until_closed([os.fspath(path) for path in self.spools()], seconds)]

    @property
    def gone(self) -> str:
        """The reason for a trace to be incomplete where there are no spools, of which each recorder has one."""
        return f"all that was recorded is gone: somebody has removed {self.path}"

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def _no_place(where: str, error: OSError) -> RecorderError:
    return RecorderError(f"no place for the recorder's files in {where}: {error.strerror}: set TMPDIR")
