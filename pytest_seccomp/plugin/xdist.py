"""pytest-xdist: the controller, which runs no test and owns PATH, and its workers, which are traced."""

import json
import os
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.plugin.owner import Owner
from pytest_seccomp.plugin.tracing import Tracing
from pytest_seccomp.recorder import client
from pytest_seccomp.recorder.settings import for_controller, for_traced
from pytest_seccomp.recorder.spools import SpoolDirectory

WORKER_VARIABLE = "PYTEST_SECCOMP_WORKER"
"""How the controller tells its workers what to do, before their conftests are loaded. A worker takes it out of its
environment at once, so that no test and no pytest that a test starts sees it."""

_OUTPUT = "seccomp"


def distributes(config: pytest.Config) -> bool:
    """Whether this process is going to be a controller, by the rules by which xdist decides that later."""
    options = config.known_args_namespace
    if not config.pluginmanager.has_plugin("xdist") or options.collectonly:
        return False
    if isinstance(options.numprocesses, str):  # auto or logical
        return not options.usepdb and os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS") != "0"
    if options.numprocesses is not None:
        return bool(options.numprocesses)
    return bool(options.tx) and (options.distload or options.dist != "no")


@dataclass(slots=True, frozen=True)
class Assignment:
    """What a controller tells a worker. A worker that finds the token in the directory shares it with its controller;
    another one sends its spool at its end."""

    backend: str
    directory: str
    token: str


class Controller:
    """Starts and hears the workers."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._started: list[str] = []
        self._reasons: list[str] = []

    @classmethod
    def start(cls, config: pytest.Config, owner: Owner, backend: str) -> None:
        """Check the backend, and have someone merge if this process is killed. Raises SeccompError."""
        keeper = client.start(for_controller(backend, owner.directory))
        config.add_cleanup(keeper.close)
        controller = cls(owner)
        owner.finish_recording = controller.reasons
        owner.merged = lambda: keeper.send("merged")
        owner.notes = keeper.notes
        config.pluginmanager.register(controller, "seccomp-xdist-controller")

    def reasons(self) -> list[str]:
        """What the workers have said, and who has said nothing."""
        if not self._started:
            return ["no xdist worker was started, and only they are traced: use -n 0 to trace without them"]
        silent = [name for name in self._started if not self._owner.directory.spools(name)]
        return self._reasons + [f"worker {name} has sent nothing" for name in silent]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, specs: list[Any]) -> None:
        directory = self._owner.directory
        assignment = json.dumps(asdict(Assignment(self._owner.backend, str(directory.path), directory.token)))
        for spec in specs:
            spec.env[WORKER_VARIABLE] = assignment

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        if self._owner.workers != node.workerinput["workercount"]:
            self._owner.has_workers(node.workerinput["workercount"])
        self._started.append(node.workerinput["workerid"])

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        output = getattr(node, "workeroutput", {}).get(_OUTPUT)
        if output is None:
            return
        name = node.workerinput["workerid"]
        if output["died"] is not None:
            self._reasons.append(f"worker {name}: {output['died']}")
        if output["spool"] is not None:
            try:
                Path(self._owner.directory.new_spool(name)).write_text(output["spool"], encoding="ascii")
            except OSError as error:
                self._reasons.append(f"worker {name}: cannot write what it has sent: {error}")


class Worker:
    """Hands its spool to the controller."""

    def __init__(self, tracing: Tracing, directory: SpoolDirectory, *, shared: bool) -> None:
        self._tracing = tracing
        self._directory = directory
        self._shared = shared

    @classmethod
    def start(cls, config: pytest.Config, assignment: Assignment) -> None:
        """Come under the filter, or run no test."""
        name = os.environ["PYTEST_XDIST_WORKER"]
        try:
            cls._start(config, assignment, name)
        except SeccompError as error:
            config.pluginmanager.register(Untraced(name, str(error)), "seccomp-xdist-worker")

    @classmethod
    def _start(cls, config: pytest.Config, assignment: Assignment, name: str) -> None:
        shared = SpoolDirectory.find(assignment.directory, assignment.token)
        directory = shared or SpoolDirectory.create()
        if shared is None:
            config.add_cleanup(directory.remove)
        tracing = Tracing.start(config, for_traced(assignment.backend, directory, name, alone=shared is None))
        config.pluginmanager.register(cls(tracing, directory, shared=shared is not None), "seccomp-xdist-worker")

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """After the part of all other plugins, but before xdist sends the output."""
        try:
            return (yield)
        finally:
            session.config.workeroutput[_OUTPUT] = self._output()  # type: ignore[attr-defined]

    def _output(self) -> dict[str, object]:
        self._tracing.finish()
        spool = None
        if not self._shared:
            spool = "".join(path.read_text(encoding="ascii") for path in self._directory.spools())
            self._tracing.merged()
        return {"died": self._tracing.died, "spool": spool}


class Untraced:
    """A worker that cannot be traced: it stops the session, with the reason. An error at its start would not: xdist
    starts another one in its place, again and again."""

    def __init__(self, name: str, reason: str) -> None:
        self._name = name
        self._reason = reason

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool:
        item.session.shouldstop = f"pytest-seccomp: worker {self._name}: {self._reason}"
        return True  # the test is not run

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        session.config.workeroutput[_OUTPUT] = {"died": self._reason, "spool": None}  # type: ignore[attr-defined]
