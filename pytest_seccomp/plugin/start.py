"""What this process is in the run: the only one, an xdist controller, or one of its workers."""

import sys
from collections.abc import Callable

import pytest

from pytest_seccomp.errors import BackendError, SeccompError, UnusableError
from pytest_seccomp.plugin.options import Options
from pytest_seccomp.plugin.owner import Owner
from pytest_seccomp.plugin.tracing import Tracing
from pytest_seccomp.plugin.workers import distributes
from pytest_seccomp.plugin.xdist import TASK, TraceController, start_worker
from pytest_seccomp.recorder.client import Client
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

    def control(backend: str) -> Client:
        return TraceController.start(config, owner, backend)

    def trace(backend: str) -> Client:
        tracing = Tracing.start(config, for_traced(backend, owner.directory))
        owner.finish_recording, owner.merged = tracing.finish, tracing.merged
        return tracing.client

    connection, failures = _first_that_works(options.candidates, control if distributes(config) else trace)
    owner.notes = [f"backend {name} does not work here: {error.reason}" for name, error in failures] + connection.notes
    owner.has_begun(connection.backend)


def _first_that_works(
    candidates: tuple[str, ...], begin: Callable[[str], Client]
) -> tuple[Client, list[tuple[str, BackendError]]]:
    """The connection to the recorder of the first backend with which tracing can begin, and why those before it do not
    work. Raises SeccompError. The recorder looks for it itself, and is started again only where one turns out not to
    work although its self-check has passed."""
    failures: list[tuple[str, BackendError]] = []
    while left := candidates[len(failures) :]:
        try:
            connection = begin(",".join(left))
        except UnusableError as error:
            failures += error.failures
        else:
            return connection, failures + connection.failures
    raise SeccompError("; ".join(f"backend {name}: {error}" for name, error in failures))
