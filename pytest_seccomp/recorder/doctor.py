"""Which backends work here, found out by using them."""

import importlib
import os
import signal
import sys
from dataclasses import dataclass

from pytest_seccomp.errors import BackendError
from pytest_seccomp.recorder import backends
from pytest_seccomp.recorder.refused import explained

_SECONDS = 20
_REMEDY = "look for a sandbox around this process"


@dataclass(slots=True, frozen=True)
class Diagnosis:
    """What came of a backend's self-check."""

    name: str
    works: bool
    detail: str
    """What the check did and saw, or why the backend does not work."""
    remedy: str | None
    """How to get it; None where it works."""
    notes: list[str]
    """What to know of it here."""


def check_backends() -> list[Diagnosis]:
    """The self-check of each backend, in the order in which `auto` prefers them; each in a child process, which a
    kernel may kill for it."""
    return [_check(name) for name in backends.NAMES]


def _check(name: str) -> Diagnosis:
    backend = importlib.import_module(f"{backends.__name__}.{name}")
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            os.close(reading)
            signal.alarm(_SECONDS)
            try:
                backend.self_check()
                status = 0
            except (BackendError, OSError) as error:
                failure = explained(error)
                os.write(writing, f"{failure.reason}\n{failure.remedy}".encode())
        finally:
            os._exit(status)
    os.close(writing)
    with open(reading, encoding="utf-8") as file:
        message = file.read()
    _, status = os.waitpid(pid, 0)
    if status == 0:
        return Diagnosis(name, True, backend.CHECKED, None, backend.notes())
    if message:
        reason, remedy = message.split("\n")
    else:
        reason, remedy = f"the self-check {_how_it_ended(status)}", _REMEDY
    return Diagnosis(name, False, reason, remedy, [])


def _how_it_ended(status: int) -> str:
    if not os.WIFSIGNALED(status):
        return f"ended with status {os.WEXITSTATUS(status)}"
    if os.WTERMSIG(status) == signal.SIGALRM:
        return f"did not end within {_SECONDS} s"
    return f"was killed by signal {os.WTERMSIG(status)}"
