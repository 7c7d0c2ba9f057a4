"""Merging in place of a session that was killed: run as a process of its own by the recorder, which outlives pytest."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from pytest_seccomp.recorder.spools import SpoolDirectory
from pytest_seccomp.trace.records import Run
from pytest_seccomp.trace.store import Destination, write_trace

_DESCRIPTION = "run.json"
_SPOOL_SECONDS = 60.0

_START = "import sys; sys.path[:] = {path!r}; from pytest_seccomp.recorder import salvage; salvage.main({directory!r})"


def command(directory: SpoolDirectory) -> list[str]:
    """The command that merges what is in the directory. It finds its packages where this process finds them."""
    return [sys.executable, "-I", "-S", "-c", _START.format(path=sys.path, directory=str(directory.path))]


def describe(directory: SpoolDirectory, destination: Destination, run: Run, *, append: bool) -> None:
    """Leave in the directory what the one who merges has to know of the run. Raises RecorderError."""
    description = {"path": str(destination.path), "append": append, "run": asdict(run)}
    directory.write(_DESCRIPTION, json.dumps(description))


def withdraw(directory: SpoolDirectory) -> None:
    """There is nothing left to merge: whoever comes removes the directory."""
    try:
        (directory.path / _DESCRIPTION).unlink()
    except OSError:
        pass  # somebody has removed the directory


def main(path: str) -> None:
    """Merge the spools in a directory, when they are written, and remove it."""
    directory = SpoolDirectory.at(path)
    directory.wait_until_written(_SPOOL_SECONDS)
    try:
        description = json.loads((directory.path / _DESCRIPTION).read_text(encoding="utf-8"))
    except FileNotFoundError:
        # Killed before anything of the user's code ran, or a worker that has no PATH and cannot send its spool any more
        directory.remove()
        return
    run = Run(**description["run"])
    run.complete, run.reasons = False, ["the session was killed before it had written its trace"]
    append = description["append"]
    write_trace(Destination.check(Path(description["path"]), append=append), run, directory.spools(), append=append)
    directory.remove()
