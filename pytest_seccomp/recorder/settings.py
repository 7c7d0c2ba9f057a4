"""What a recorder is told at its start, for each part that a pytest process can have in a run."""

import functools
import json
import os
import secrets

from pytest_seccomp.recorder.protocol import Settings
from pytest_seccomp.recorder.salvage import command
from pytest_seccomp.recorder.spools import SpoolDirectory


def own_cookie() -> int:
    """What marks the calls of this process that are no test's: one for all that it starts, so that the filter of its
    trace lets it talk to the watcher of the kernel's log, too. 62 bits."""
    return _cookie_of(os.getpid())


@functools.cache
def _cookie_of(process: int) -> int:
    """Of this process; a child that was forked has another one."""
    return secrets.randbits(62)


def for_traced(backend: str, directory: SpoolDirectory, worker: str | None = None, *, alone: bool = True) -> Settings:
    """For a pytest process that is traced: the only one of its run, which owns the trace, or a worker.

    `backend` may name several, as in `Settings`. `alone`: nobody else sees the directory. If the process is killed, its
    recorder merges what is in it, or removes it.
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


def for_policies(*, beside_a_trace: bool) -> Settings:
    """For a pytest process in which a listener serves only what tests ask for, and nothing is written. Beside a trace
    of another backend its markers are told from that one's by a cookie of their own."""
    settings = _settings("notify", spool=None, worker=None, salvage=None)
    settings.unwritten = True
    if beside_a_trace:
        settings.cookie = secrets.randbits(62)
    return settings


def _settings(backend: str, spool: str | None, worker: str | None, salvage: list[str] | None) -> Settings:
    return Settings(
        backend=backend,
        cookie=own_cookie(),
        target=os.getpid(),
        spool=spool,
        worker=json.dumps(worker),
        salvage=salvage,
    )
