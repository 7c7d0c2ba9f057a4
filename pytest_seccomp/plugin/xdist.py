"""The trace under pytest-xdist: the controller, which runs no test and owns PATH, and its workers, which are traced."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.plugin.owner import Owner
from pytest_seccomp.plugin.tracing import Tracing
from pytest_seccomp.plugin.workers import Assignment, Controller, Findings, Task, Unable, Worker
from pytest_seccomp.recorder import client
from pytest_seccomp.recorder.settings import for_controller, for_traced

if TYPE_CHECKING:
    from pytest_seccomp.plugin.profiles.options import ProfileOptions

TASK = Task("seccomp")


class TraceController(Controller):
    """Tells the owner of PATH what it learns of the workers."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(TASK, owner.directory, lambda: owner.backend)
        self._owner = owner

    @classmethod
    def start(cls, config: pytest.Config, owner: Owner, backend: str, spawn: client.Spawn) -> client.Client:
        """Have the backend checked, or find the first of several that works, by someone who merges if this process is
        killed. Raises SeccompError."""
        keeper = client.start(for_controller(backend, owner.directory), spawn)
        config.add_cleanup(keeper.close)
        controller = cls(owner)
        owner.finish_recording = controller.reasons
        owner.merged = lambda: keeper.send("merged")
        controller.register(config)
        return keeper

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        if self._owner.workers != node.workerinput["workercount"]:
            self._owner.has_workers(node.workerinput["workercount"])
        super().pytest_configure_node(node)


def start_worker(
    config: pytest.Config,
    assignment: Assignment,
    judging: "Callable[[pytest.Config], ProfileOptions | None]",
    spawn: client.Spawn,
) -> None:
    """Come under the filter, or run no test. `judging` gives the options of a profile."""
    try:
        options = judging(config)
        allowed = None if options is None or options.updates else options.read()
        place = assignment.place(config)
        settings = for_traced(assignment.backend, place.directory, TASK.worker, alone=not place.shared)
        tracing = Tracing.start(config, settings, spawn)
        if options is not None:
            from pytest_seccomp.plugin.profiles.judging import start_judging

            start_judging(config, options, allowed, tracing)
    except SeccompError as error:
        Unable(TASK, str(error)).register(config)
        return

    def finish() -> Findings:
        return Findings(tracing.finish(), [])

    Worker(TASK, place, finish, tracing.merged).register(config)
