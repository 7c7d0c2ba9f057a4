"""What this process is in the run: the only one, an xdist controller, or one of its workers."""

import json
import os

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.plugin.denials.options import DenialOptions
from pytest_seccomp.plugin.denials.owner import DenialOwner
from pytest_seccomp.plugin.denials.watching import Watching
from pytest_seccomp.plugin.denials.xdist import WORKER_VARIABLE, Assignment, Blind, DenialController, DenialWorker
from pytest_seccomp.plugin.xdist import distributes
from pytest_seccomp.recorder import denial_salvage
from pytest_seccomp.recorder.session import own_session
from pytest_seccomp.recorder.settings import own_cookie
from pytest_seccomp.recorder.spools import SpoolDirectory
from pytest_seccomp.recorder.watch import Watch
from pytest_seccomp.recorder.watch import start as start_watch
from pytest_seccomp.recorder.watching import Settings
from pytest_seccomp.trace.denials import Spooled


def start(config: pytest.Config) -> None:
    """Register what `--seccomp-deny-log` asks for. To be called before this process comes under a filter of ours, which
    the watcher must not be under. Raises SeccompError."""
    assignment = os.environ.pop(WORKER_VARIABLE, None)
    if assignment is not None:
        _start_worker(config, Assignment(**json.loads(assignment)))
        return
    options = DenialOptions.of(config)
    owner = DenialOwner.start(config, options)
    salvage = denial_salvage.command(owner.directory)
    if distributes(config):
        # It watches nothing: it finds out that workers can, and writes PATH if this process is killed
        owner.has_begun(_watch(config, Settings(os.getpid(), None, own_cookie(), None, salvage=salvage)))
        config.pluginmanager.register(DenialController(owner), "seccomp-denials-xdist-controller")
        return
    spool = owner.directory.new_spool("pytest")
    watch = _watch(config, Settings(os.getpid(), own_session(), own_cookie(), spool, salvage=salvage))
    watching = Watching(config, options, watch, None)

    def settle() -> Spooled:
        watching.settle()
        return Spooled(watching.denials, watching.reasons)

    def finish() -> list[str]:
        watching.finish()
        return watching.reasons

    owner.has_begun(watch)
    owner.notes = watch.notes
    owner.settle, owner.finish = settle, finish
    config.pluginmanager.register(watching, "seccomp-denials")


def _start_worker(config: pytest.Config, assignment: Assignment) -> None:
    name = os.environ["PYTEST_XDIST_WORKER"]
    try:
        options = DenialOptions.of(config)
        shared = SpoolDirectory.find(assignment.directory, assignment.token)
        directory = shared or SpoolDirectory.create()
        salvage = None
        if shared is None:
            config.add_cleanup(directory.remove)
            salvage = denial_salvage.command(directory)
        spool = directory.new_spool(name)
        settings = Settings(os.getpid(), own_session(), own_cookie(), spool, json.dumps(name), salvage)
        watching = Watching(config, options, _watch(config, settings), name)
    except SeccompError as error:
        config.pluginmanager.register(Blind(name, str(error)), "seccomp-denials-xdist-worker")
        return
    config.pluginmanager.register(watching, "seccomp-denials")
    worker = DenialWorker(watching, directory, shared=shared is not None)
    config.pluginmanager.register(worker, "seccomp-denials-xdist-worker")


def _watch(config: pytest.Config, settings: Settings) -> Watch:
    watch = start_watch(settings)
    config.add_cleanup(watch.close)
    return watch
