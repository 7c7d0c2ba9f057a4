"""pytest-xdist, for the trace as for the deny log: what the controller tells its workers before their conftests are
loaded, and what they hand over at their end.
"""

import json
import os
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from os import getpid  # as it is before a test replaces it
from pathlib import Path
from typing import Any

import pytest

from pytest_seccomp.linux.open_files import many_open_files
from pytest_seccomp.recorder.spools import SpoolDirectory

SPOOL_SECONDS = 10.0
"""How long to wait for spools that somebody still writes."""


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
class Task:
    """What workers do for their controller: `name` is a part of the names of plugins and of the environment variable by
    which the controller tells them. A worker takes that out of its environment at once, so that no test and no pytest
    that a test starts sees it."""

    name: str

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"PYTEST_{self.name.upper().replace('-', '_')}_WORKER"

    @property
    def worker(self) -> str:
        """The name of this process, which is a worker."""
        return os.environ["PYTEST_XDIST_WORKER"]

    def assignment(self) -> "Assignment | None":
        """What the controller has told this process; None where it is no worker."""
        text = os.environ.pop(self.variable, None)
        return None if text is None else Assignment(**json.loads(text))


@dataclass(slots=True, frozen=True)
class Assignment:
    """What a controller tells a worker. A worker that finds the token in the directory shares it with its controller;
    another one, on another host, sends its spool at its end."""

    directory: str
    token: str
    backend: str

    def place(self, config: pytest.Config) -> "Place":
        """Where this worker writes its spool. Raises RecorderError."""
        shared = SpoolDirectory.find(self.directory, self.token)
        if shared is not None:
            return Place(shared, shared=True)
        own = SpoolDirectory.create()
        config.add_cleanup(own.remove)
        return Place(own, shared=False)


@dataclass(slots=True, frozen=True)
class Place:
    """A directory for spools, and whether the controller has the same."""

    directory: SpoolDirectory
    shared: bool


class Controller:
    """Starts and hears the workers."""

    def __init__(self, task: Task, directory: SpoolDirectory, backend: Callable[[], str] = str) -> None:
        self._task = task
        self._directory = directory
        self._backend = backend
        self._started: list[str] = []
        self._reasons: list[str] = []

    def register(self, config: pytest.Config) -> None:
        """Take part in the session."""
        config.pluginmanager.register(self, f"{self._task.name}-xdist-controller")

    def reasons(self) -> list[str]:
        """What the workers have said for something to be missing, and who has said nothing."""
        if not self._started:
            return ["no xdist worker was started, and only they see system calls: use -n 0 to do without them"]
        silent = [name for name in self._started if not self._directory.spools(name)]
        return self._reasons + [f"worker {name} has sent nothing" for name in silent]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, specs: list[Any]) -> None:
        assignment = Assignment(str(self._directory.path), self._directory.token, self._backend())
        for spec in specs:
            spec.env[self._task.variable] = json.dumps(asdict(assignment))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        self._started.append(node.workerinput["workerid"])

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        output = getattr(node, "workeroutput", {}).get(self._task.name)
        if output is None:
            return
        name = node.workerinput["workerid"]
        self._reasons += [f"worker {name}: {reason}" for reason in output["reasons"]]
        self.noted(output["notes"])
        if output["spool"] is not None:
            try:
                Path(self._directory.new_spool(name)).write_text(output["spool"], encoding="ascii")
            except OSError as error:
                self._reasons.append(f"worker {name}: cannot write what it has sent: {error}")

    def noted(self, notes: list[str]) -> None:
        """What a user should know of how a worker works."""


@dataclass(slots=True)
class Findings:
    """What a worker has to say at its end."""

    reasons: list[str]
    """Why something may be missing that is not in its spool."""
    notes: list[str]


class Worker:
    """Hands its spool to the controller. `finish` ends what writes the spool; `merged` says that somebody else has it
    now."""

    def __init__(self, task: Task, place: Place, finish: Callable[[], Findings], merged: Callable[[], None]) -> None:
        self._task = task
        self._place = place
        self._finish = finish
        self._merged = merged
        self._process = getpid()

    def register(self, config: pytest.Config) -> None:
        """Take part in the session."""
        config.pluginmanager.register(self, f"{self._task.name}-xdist-worker")

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """After the part of all other plugins, but before xdist sends the output."""
        try:
            return (yield)
        finally:
            if getpid() == self._process:  # no forked child, in which a test came back into pytest
                with many_open_files():  # a test may have left a low limit
                    session.config.workeroutput[self._task.name] = self._output()  # type: ignore[attr-defined]

    def _output(self) -> dict[str, object]:
        findings = self._finish()
        spool = None
        if not self._place.shared:
            directory = self._place.directory
            directory.wait_until_written(SPOOL_SECONDS)
            spool = "".join(path.read_text(encoding="ascii") for path in directory.spools())
            self._merged()
        return {"reasons": findings.reasons, "notes": findings.notes, "spool": spool}


class Unable:
    """A worker that cannot do its task: it stops the session, with the reason. An error at its start would not: xdist
    starts another one in its place, again and again."""

    def __init__(self, task: Task, reason: str) -> None:
        self._task = task
        self._name = task.worker
        self._reason = reason

    def register(self, config: pytest.Config) -> None:
        """Take part in the session."""
        config.pluginmanager.register(self, f"{self._task.name}-xdist-worker")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool:
        item.session.shouldstop = f"pytest-seccomp: worker {self._name}: {self._reason}"
        return True  # the test is not run

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = {"reasons": [self._reason], "notes": [], "spool": None}
        session.config.workeroutput[self._task.name] = output  # type: ignore[attr-defined]
