"""What this process is in the run: the only one, an xdist controller, or one of its workers."""

import sys
from typing import TYPE_CHECKING

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.plugin.options import Options
from pytest_seccomp.plugin.owner import Owner
from pytest_seccomp.plugin.tracing import Tracing
from pytest_seccomp.plugin.workers import distributes
from pytest_seccomp.plugin.xdist import TASK, TraceController, start_worker
from pytest_seccomp.recorder.candidates import first_that_works, in_words
from pytest_seccomp.recorder.client import Client, Spawn
from pytest_seccomp.recorder.settings import for_traced

if TYPE_CHECKING:
    from pytest_seccomp.plugin.profiles.options import ProfileOptions


def start(config: pytest.Config, spawn: Spawn) -> None:
    """Register what a trace takes; `spawn` starts its recorder. Raises SeccompError where it cannot be had."""
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        raise SeccompError("a free-threaded Python cannot be traced: run it with PYTHON_GIL=1")
    assignment = TASK.assignment()
    if assignment is not None:
        start_worker(config, assignment, _profile_options, spawn)
        return
    judging = _profile_options(config)
    options = Options.of(config, judges=judging is not None)
    profile = None
    if judging is not None:
        from pytest_seccomp.plugin.profiles.owner import ProfileOwner

        profile = ProfileOwner.start(config, judging)
    owner = Owner.start(config, options, profile)

    def control(backend: str) -> Client:
        return TraceController.start(config, owner, backend, spawn)

    def trace(backend: str) -> Client:
        tracing = Tracing.start(config, for_traced(backend, owner.directory), spawn)
        owner.finish_recording, owner.merged = tracing.finish, tracing.merged
        if profile is not None:
            profile.judge_here(config, tracing)
        return tracing.client

    connection, failures = first_that_works(options.candidates, control if distributes(config) else trace)
    owner.notes = in_words(failures) + connection.notes
    owner.has_begun(connection.backend)


def _profile_options(config: pytest.Config) -> "ProfileOptions | None":
    """None where nothing is judged, which takes no import. Raises SeccompError."""
    namespace = config.known_args_namespace
    given = (namespace.seccomp_profile, namespace.seccomp_profile_collection, namespace.seccomp_update_profile)
    if given == (None, None, None) and not config.getini("seccomp_profile"):
        return None
    from pytest_seccomp.plugin.profiles.options import ProfileOptions

    return ProfileOptions.of(config)
