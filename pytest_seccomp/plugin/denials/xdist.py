"""pytest-xdist: the controller, which runs no test and owns PATH, and its workers, each with a watcher of its own."""

import json
import os
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_seccomp.plugin.denials.owner import SPOOL_SECONDS, DenialOwner
from pytest_seccomp.plugin.denials.watching import Watching
from pytest_seccomp.recorder.spools import SpoolDirectory
from pytest_seccomp.trace.denials import Spooled

WORKER_VARIABLE = "PYTEST_SECCOMP_DENIALS_WORKER"
"""How the controller tells its workers where to write, before their conftests are loaded. A worker takes it out of its
environment at once, so that no test and no pytest that a test starts sees it."""

_OUTPUT = "seccomp_denials"


@dataclass(slots=True, frozen=True)
class Assignment:
    """What a controller tells a worker. A worker that finds the token in the directory shares it with its controller;
    another one sends its spool at its end."""

    directory: str
    token: str


class DenialController:
    """Starts and hears the workers."""

    def __init__(self, owner: DenialOwner) -> None:
        self._owner = owner
        self._started: list[str] = []
        self._reasons: list[str] = []
        owner.settle = self._settle
        owner.finish = self._finish

    def _settle(self) -> Spooled:
        found = self._owner.gathered()
        found.reasons += self._finish()
        return found

    def _finish(self) -> list[str]:
        """What the workers have said, and who has said nothing."""
        silent = [name for name in self._started if not self._owner.directory.spools(name)]
        return self._reasons + [f"{name} has sent nothing" for name in silent]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, specs: list[Any]) -> None:
        directory = self._owner.directory
        assignment = json.dumps(asdict(Assignment(str(directory.path), directory.token)))
        for spec in specs:
            spec.env[WORKER_VARIABLE] = assignment

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        self._started.append(node.workerinput["workerid"])

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        output = getattr(node, "workeroutput", {}).get(_OUTPUT)
        if output is None:
            return
        name = node.workerinput["workerid"]
        self._reasons += [f"{name}: {reason}" for reason in output["reasons"]]
        self._owner.notes += [note for note in output["notes"] if note not in self._owner.notes]
        if output["spool"] is not None:
            try:
                Path(self._owner.directory.new_spool(name)).write_text(output["spool"], encoding="ascii")
            except OSError as error:
                self._reasons.append(f"{name}: cannot write what it has sent: {error}")


class DenialWorker:
    """Hands its spool to the controller."""

    def __init__(self, watching: Watching, directory: SpoolDirectory, *, shared: bool) -> None:
        self._watching = watching
        self._directory = directory
        self._shared = shared
        self._process = os.getpid()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """After the part of all other plugins, but before xdist sends the output."""
        try:
            return (yield)
        finally:
            if os.getpid() == self._process:
                session.config.workeroutput[_OUTPUT] = self._output()  # type: ignore[attr-defined]

    def _output(self) -> dict[str, object]:
        self._watching.finish()
        spool = None
        if not self._shared:
            self._directory.wait_until_written(SPOOL_SECONDS)
            spool = "".join(path.read_text(encoding="ascii") for path in self._directory.spools())
            self._watching.merged()
        return {"reasons": self._watching.reasons, "notes": self._watching.notes, "spool": spool}


class Blind:
    """A worker that cannot watch: it stops the session, with the reason. An error at its start would not: xdist starts
    another one in its place, again and again."""

    def __init__(self, name: str, reason: str) -> None:
        self._name = name
        self._reason = reason

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool:
        item.session.shouldstop = f"pytest-seccomp: worker {self._name}: {self._reason}"
        return True  # the test is not run

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        session.config.workeroutput[_OUTPUT] = {"reasons": [self._reason], "notes": [], "spool": None}  # type: ignore[attr-defined]
