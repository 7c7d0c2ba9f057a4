"""Writing the deny log in place of a session that was killed: run as a process of its own by the watcher of the
kernel's log, which outlives pytest.
"""

import json
import sys
from pathlib import Path

from pytest_seccomp.errors import RecorderError, SeccompError
from pytest_seccomp.recorder.spools import SpoolDirectory
from pytest_seccomp.trace.denials import Spooled
from pytest_seccomp.trace.deny_log import DenyLog

KILLED = "the session was killed before it had written its deny log"

_DESCRIPTION = "deny-log.json"
_FAILURE = "not-written.txt"
_SPOOL_SECONDS = 60.0

_START = (
    "import sys; sys.path[:] = {path!r}; from pytest_seccomp.recorder import denial_salvage; "
    "denial_salvage.main({directory!r})"
)


def command(directory: SpoolDirectory) -> list[str]:
    """The command that makes a deny log of what is in the directory. It finds its packages where this process finds
    them."""
    return [sys.executable, "-I", "-S", "-c", _START.format(path=sys.path, directory=str(directory.path))]


def describe(directory: SpoolDirectory, log: DenyLog) -> None:
    """Leave in the directory where the deny log has to go. Raises RecorderError."""
    directory.write(_DESCRIPTION, json.dumps({"path": str(log.path)}))


def withdraw(directory: SpoolDirectory) -> None:
    """There is nothing left to write: whoever comes removes the directory."""
    try:
        (directory.path / _DESCRIPTION).unlink()
    except OSError:
        pass  # somebody has removed the directory


def main(path: str) -> None:
    """Write the deny log from the spools in a directory, when they are written, and remove it."""
    directory = SpoolDirectory.at(path)
    directory.wait_until_written(_SPOOL_SECONDS)
    target = _described(directory)
    if target is not None:
        found = Spooled.read(directory.spools())
        found.reasons.append(KILLED)
        try:
            DenyLog.check(target).write(found)
        except SeccompError as error:
            # Nobody is there to be told
            directory.write(_FAILURE, f"{error}\nWhat was denied is kept, in the files beside this one.\n")
            raise
    directory.remove()


def _described(directory: SpoolDirectory) -> Path | None:
    """PATH; None where it is not described: in the directory of a worker, which has none."""
    file = directory.path / _DESCRIPTION
    try:
        return Path(json.loads(file.read_text(encoding="utf-8"))["path"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecorderError(f"{file}: cannot be read, or is damaged: {error}") from error
