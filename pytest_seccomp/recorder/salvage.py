"""Merging in place of a session that was killed: run as a process of its own by the recorder, which outlives pytest."""

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path

from pytest_seccomp.errors import RecorderError, SeccompError
from pytest_seccomp.recorder.spools import SpoolDirectory
from pytest_seccomp.trace.records import Run
from pytest_seccomp.trace.store import Destination, write_trace

_DESCRIPTION = "run.json"
_FAILURE = "not-merged.txt"
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
    """Merge the spools in a directory, when they are written, and remove it. A trace without any test replaces none."""
    directory = SpoolDirectory.at(path)
    directory.wait_until_written(_SPOOL_SECONDS)
    # Not described: killed before anything of the user's code ran, or a worker, which has no PATH
    if (directory.path / _DESCRIPTION).exists() and directory.has_tests():
        _merge(directory)
    directory.remove()


def run_of(directory: SpoolDirectory) -> Run:
    """The run that was recorded in a directory, as it was described last.

    Raises RecorderError where it is described nowhere: in a worker's directory, or when its trace is written.
    """
    return _described(directory)[0]


def by_hand(directory: SpoolDirectory, path: Path, *, append: bool) -> str:
    """The command by which a user makes a trace of what is in the directory, in place of PATH or of adding to it."""
    earlier = append and path.exists()
    output = path.with_stem(f"{path.stem}-merged") if earlier else path
    sources = [*([path] if earlier else []), directory.path]
    return shlex.join(["pytest-seccomp", "merge", *map(str, sources), "-o", str(output)])


def _merge(directory: SpoolDirectory) -> None:
    run, path, append = _described(directory)
    try:
        write_trace(Destination.check(path, append=append), run, directory.spools(), append=append)
    except SeccompError as error:
        # Nobody is there to be told
        kept = f"What was recorded is kept: {by_hand(directory, path, append=append)}"
        directory.write(_FAILURE, f"{error}\n{kept}\n")
        raise


def _described(directory: SpoolDirectory) -> tuple[Run, Path, bool]:
    """The run, PATH, and whether it is to be appended to."""
    file = directory.path / _DESCRIPTION
    try:
        members = json.loads(file.read_text(encoding="utf-8"))
        run, path, append = Run(**members["run"]), Path(members["path"]), bool(members["append"])
    except FileNotFoundError:
        message = f"{directory.path}: no run is described here, or its trace is written already: nothing to merge"
        raise RecorderError(message) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecorderError(f"{file}: cannot be read, or is damaged: {error}") from error
    if run.exit_status is None:
        run.complete = False
        run.reasons = [*run.reasons, "the session was killed before it had written its trace"]
    return run, path, append
