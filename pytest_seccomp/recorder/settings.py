"""What a recorder is told at its start, for each part that a pytest process can have in a run."""

import json
import os
import secrets

from pytest_seccomp.recorder.protocol import Settings
from pytest_seccomp.recorder.salvage import command
from pytest_seccomp.recorder.spools import SpoolDirectory


def for_traced(backend: str, directory: SpoolDirectory, worker: str | None = None, *, alone: bool = True) -> Settings:
    """For a pytest process that is traced: the only one of its run, which owns the trace, or a worker.

    `alone`: nobody else sees the directory. If the process is killed, its recorder merges what is in it, or removes it.
    """
    return _settings(
        backend,
        spool=directory.new_spool(worker or "pytest"),
        worker=worker,
        salvage=command(directory) if alone else None,
    )


def for_controller(backend: str, directory: SpoolDirectory) -> Settings:
    """For a controller, which is not traced."""
    return _settings(backend, spool=None, worker=None, salvage=command(directory))


def _settings(backend: str, spool: str | None, worker: str | None, salvage: list[str] | None) -> Settings:
    return Settings(
        backend=backend,
        cookie=secrets.randbits(62),
        target=os.getpid(),
        spool=spool,
        worker=json.dumps(worker),
        salvage=salvage,
    )
