"""What this process is in the run: the only one, an xdist controller, or one of its workers."""

import sys
from collections.abc import Callable

import pytest

from pytest_seccomp.errors import BackendError, SeccompError
from pytest_seccomp.plugin.options import Options
from pytest_seccomp.plugin.owner import Owner
from pytest_seccomp.plugin.tracing import Tracing
from pytest_seccomp.plugin.workers import distributes
from pytest_seccomp.plugin.xdist import TASK, TraceController, start_worker
from pytest_seccomp.recorder.settings import for_traced


def start(config: pytest.Config, *, traces: bool, watches: bool) -> None:
    """Register what the options ask for, a trace or a deny log. Raises pytest.UsageError where it cannot be had."""
    namespace = config.known_args_namespace
    if namespace.help or namespace.version:
        return
    try:
        if watches:  # first: its watcher must not be under the filter of the trace
            from pytest_seccomp.plugin.denials import start as denials

            denials.start(config)
        if traces:
            _start(config)
    except SeccompError as error:
        raise pytest.UsageError(f"pytest-seccomp: {error}") from error


def _start(config: pytest.Config) -> None:
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        raise SeccompError("a free-threaded Python cannot be traced: run it with PYTHON_GIL=1")
    assignment = TASK.assignment()
    if assignment is not None:
        start_worker(config, assignment)
        return
    options = Options.of(config)
    owner = Owner.start(config, options)

    def control(backend: str) -> None:
        TraceController.start(config, owner, backend)

    def trace(backend: str) -> None:
        tracing = Tracing.start(config, for_traced(backend, owner.directory))
        owner.finish_recording, owner.merged, owner.notes = tracing.finish, tracing.merged, tracing.notes

    backend, failures = _first_that_works(options.candidates, control if distributes(config) else trace)
    owner.notes = [*(f"backend {name} does not work here: {error.reason}" for name, error in failures), *owner.notes]
    owner.has_begun(backend)


def _first_that_works(
    candidates: tuple[str, ...], begin: Callable[[str], None]
) -> tuple[str, list[tuple[str, BackendError]]]:
    """Its name, and why those before it do not. Raises SeccompError."""
    failures = []
    for backend in candidates:
        try:
            begin(backend)
        except BackendError as error:
            failures.append((backend, error))
        else:
            return backend, failures
    raise SeccompError("; ".join(f"backend {name}: {error}" for name, error in failures))
