"""What this process is in the run: the only one, an xdist controller, or one of its workers."""

import os
from json import dumps

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.plugin.denials.options import DenialOptions
from pytest_seccomp.plugin.denials.owner import DenialOwner
from pytest_seccomp.plugin.denials.watching import Watching
from pytest_seccomp.plugin.workers import Assignment, Controller, Findings, Task, Unable, Worker, distributes
from pytest_seccomp.recorder import denial_salvage
from pytest_seccomp.recorder.settings import own_cookie
from pytest_seccomp.recorder.watch import Watch
from pytest_seccomp.recorder.watch import start as start_watch
from pytest_seccomp.recorder.watching import Settings
from pytest_seccomp.trace.denials import Spooled

TASK = Task("seccomp-denials")


class DenialController(Controller):
    """Tells the owner of PATH what it learns of the workers, each of which has a watcher of its own."""

    def __init__(self, owner: DenialOwner) -> None:
        super().__init__(TASK, owner.directory)
        self._owner = owner
        owner.settle = self._settle
        owner.finish = self.reasons

    def noted(self, notes: list[str]) -> None:
        self._owner.notes += [note for note in notes if note not in self._owner.notes]

    def _settle(self) -> Spooled:
        found = self._owner.gathered()
        found.reasons += self.reasons()
        return found


def start(config: pytest.Config) -> None:
    """Register what `--seccomp-deny-log` asks for. To be called before this process comes under a filter of ours, which
    the watcher must not be under. Raises SeccompError."""
    assignment = TASK.assignment()
    if assignment is not None:
        _start_worker(config, assignment)
        return
    options = DenialOptions.of(config)
    owner = DenialOwner.start(config, options)
    salvage = denial_salvage.command(owner.directory)
    if distributes(config):
        # It watches nothing: it finds out that workers can, and writes PATH if this process is killed
        settings = Settings(os.getpid(), None, own_cookie(), None, salvage=salvage, sources=options.channels)
        owner.has_begun(_watch(config, settings))
        DenialController(owner).register(config)
        return
    spool = owner.directory.new_spool("pytest")
    settings = Settings(os.getpid(), options.session, own_cookie(), spool, salvage=salvage, sources=options.channels)
    watch = _watch(config, settings)
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
    name = TASK.worker
    try:
        options = DenialOptions.of(config)
        place = assignment.place(config)
        salvage = None if place.shared else denial_salvage.command(place.directory)
        spool = place.directory.new_spool(name)
        settings = Settings(os.getpid(), options.session, own_cookie(), spool, dumps(name), salvage, options.channels)
        watching = Watching(config, options, _watch(config, settings), name)
    except SeccompError as error:
        Unable(TASK, str(error)).register(config)
        return

    def finish() -> Findings:
        watching.finish()
        return Findings(watching.reasons, watching.notes)

    config.pluginmanager.register(watching, "seccomp-denials")
    Worker(TASK, place, finish, watching.merged).register(config)


def _watch(config: pytest.Config, settings: Settings) -> Watch:
    watch = start_watch(settings)
    config.add_cleanup(watch.close)
    return watch
