"""Whole runs of pytest, traced and not, in processes of their own, and what their files say as plain objects.

Reads the files as a user's program would, line by line with json, and not with the code under test.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

SECONDS = 300
"""After which a run that hangs is ended. No test measures time."""

Counts = dict[str, int]
"""How often a call was made. A key is the call's name, `ARCH:NAME` on another architecture than this machine's, and the
number in place of the name where there is none."""

Phases = dict[str, Counts]
"""The calls of each phase that has any."""

PHASES = ("setup", "call", "teardown", "shared")


def key(entry: Mapping[str, Any]) -> str:
    """The key in Counts for an object with syscall, name and arch."""
    name = entry["name"] if entry["name"] is not None else str(entry["syscall"])
    return name if entry["arch"] == platform.machine() else f"{entry['arch']}:{name}"


def without_futex(phases: Phases) -> Phases:
    """The calls of each phase without those that hand over the GIL, for tests in an xdist worker: there a thread of
    execnet's wakes up whenever the controller says something, at any time in any test, and wants the GIL."""
    left = {phase: {call: count for call, count in calls.items() if call != "futex"} for phase, calls in phases.items()}
    return {phase: calls for phase, calls in left.items() if calls}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the tests file, other than that of the run. `members` is all of it."""

    members: dict[str, Any]

    @property
    def worker(self) -> str | None:
        """The xdist worker's name."""
        worker: str | None = self.members["worker"]
        return worker

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.members["complete"] is True

    @property
    def counts(self) -> Counts:
        """All calls of the line."""
        return {key(entry): entry["count"] for entry in self.members["syscalls"]}


class TestLine(Line):
    """One run of a test."""

    __test__ = False  # no test class, whatever its name says
    __slots__ = ()

    @property
    def nodeid(self) -> str:
        """The test's node id."""
        return str(self.members["nodeid"])

    @property
    def outcome(self) -> str | None:
        """passed, failed, ..., None where the test did not come to its end."""
        outcome: str | None = self.members["outcome"]
        return outcome

    @property
    def rerun(self) -> int:
        """0 for the first run."""
        return int(self.members["rerun"])

    @property
    def phases(self) -> Phases:
        """The calls of each phase that has any."""
        return {
            phase: calls
            for phase in PHASES
            if (calls := {key(e): e["phases"][phase] for e in self.members["syscalls"] if phase in e["phases"]})
        }

    @property
    def own(self) -> Phases:
        """The test's own trace: without what fixtures of wider scope made."""
        return {phase: calls for phase, calls in self.phases.items() if phase != "shared"}

    def phase(self, name: str) -> Counts:
        """The calls of one phase, empty where there are none."""
        return self.phases.get(name, {})


@dataclass(frozen=True, slots=True)
class Trace:
    """The two files of a run. `records` are the lines of PATH, `run` is the line of the run."""

    path: Path
    records: list[dict[str, Any]]
    run: dict[str, Any]
    tests: list[TestLine] = field(default_factory=list)
    collections: list[Line] = field(default_factory=list)
    harnesses: list[Line] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "Trace":
        """Read PATH and the tests file beside it. Raises where a line is torn or unknown."""
        records = [json.loads(line) for line in _lines(path)]
        run, *rest = (json.loads(line) for line in _lines(tests_file(path)))
        assert run["kind"] == "run"
        trace = cls(path, records, run)
        for members in rest:
            match members["kind"]:
                case "test":
                    trace.tests.append(TestLine(members))
                case "collect":
                    trace.collections.append(Line(members))
                case "harness":
                    trace.harnesses.append(Line(members))
                case kind:
                    raise ValueError(f"{tests_file(path)}: a line of unknown kind {kind!r}")
        return trace

    @property
    def complete(self) -> bool:
        """Whether the run's line says so; that the records agree with it is checked here."""
        complete = self.run["complete"] is True
        assert all(record.get("complete", True) is complete for record in self.records)
        return complete

    @property
    def counts(self) -> Counts:
        """`count` of each record of PATH."""
        return {key(record): record["count"] for record in self.records}

    def test(self, name: str, *, rerun: int = 0) -> TestLine:
        """The one line of a test, by its whole node id or by what comes after the last `::`."""
        found = [
            line
            for line in self.tests
            if (line.nodeid == name or line.nodeid.rpartition("::")[2] == name) and line.rerun == rerun
        ]
        assert len(found) == 1, (
            f"{len(found)} lines for {name!r} (rerun {rerun}) among {[t.nodeid for t in self.tests]}"
        )
        return found[0]

    @property
    def outcomes(self) -> dict[str, str | None]:
        """Of each test, that of its last run."""
        return {line.nodeid: line.outcome for line in sorted(self.tests, key=lambda line: line.rerun)}

    @property
    def phases(self) -> dict[str, Phases]:
        """The phases of each test, by what comes after the last `::` of its node id."""
        return {line.nodeid.rpartition("::")[2]: line.phases for line in self.tests}

    @property
    def own(self) -> dict[str, Phases]:
        """Each test's own trace, by node id: what must not depend on order, selection or workers."""
        return {line.nodeid: line.own for line in self.tests}


@dataclass(frozen=True, slots=True)
class Finished:
    """A run of pytest that has ended."""

    folder: Path
    status: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Both streams, for messages."""
        return f"exit status {self.status}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"

    def expect(self, status: int) -> "Finished":
        """This, if it ended with `status`."""
        assert self.status == status, f"expected exit status {status}\n{self.output}"
        return self

    def trace(self, name: str = "out.ndjson") -> Trace:
        """The trace that it wrote."""
        return Trace.read(self.folder / name)


class Suite:
    """A folder with somebody's tests, in which pytest is run.

    Other plugins than ours are off, so that a test says what it needs: `plugins=["xdist"]`; None leaves them all on, as
    they are where nobody says anything. "no:seccomp" among them switches ours off.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backend: str | None = "notify"
        """What a trace is made with where a test says nothing: that which works for everybody. None leaves it to the
        plugin, to the ini file and to what else the test tells it."""
        self.write("pytest.ini", "[pytest]\n")

    def write(self, name: str, text: str) -> Path:
        """Write a file, with its common indentation taken away."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    def command(
        self, arguments: Sequence[str], plugins: Iterable[str] | None = (), python: Sequence[str] = ()
    ) -> list[str]:
        """The command of a run; `python` are options of the interpreter."""
        traces = any(argument.startswith("--seccomp-trace=") for argument in arguments)
        if traces and self.backend and not any(argument.startswith("--seccomp-backend") for argument in arguments):
            arguments = [f"--seccomp-backend={self.backend}", *arguments]
        names = [] if plugins is None else list(plugins)
        if plugins is not None and "no:seccomp" not in names:
            names.insert(0, "seccomp")
        switches = [part for name in names for part in ("-p", name)]
        return [sys.executable, *python, "-m", "pytest", *switches, *arguments]

    def environment(
        self, plugins: Iterable[str] | None = (), environment: Mapping[str, str | None] | None = None
    ) -> dict[str, str]:
        """The environment of a run: this process's, changed as `environment` says, where None takes a variable away."""
        changes: dict[str, str | None] = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": None if plugins is None else "1"}
        changes.update(environment or {})
        merged = {name: value for name, value in os.environ.items() if name not in changes}
        merged.update((name, value) for name, value in changes.items() if value is not None)
        return merged

    def run(
        self,
        *arguments: str,
        plugins: Iterable[str] | None = (),
        python: Sequence[str] = (),
        environment: Mapping[str, str | None] | None = None,
        before: Sequence[str] = (),
        stdin: str | None = None,
    ) -> Finished:
        """Run pytest to its end. `before` is a command that runs it (strace and its options)."""
        plugins = None if plugins is None else list(plugins)
        result = subprocess.run(
            [*before, *self.command(arguments, plugins, python)],
            cwd=self.folder,
            env=self.environment(plugins, environment),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
        return Finished(self.folder, result.returncode, result.stdout, result.stderr)

    def trace(self, *arguments: str, status: int = 0, **settings: Any) -> Trace:
        """Run pytest with --seccomp-trace=out.ndjson, demand its exit status, and read the trace."""
        finished = self.run("--seccomp-trace=out.ndjson", *arguments, **settings).expect(status)
        return finished.trace()


def tests_file(path: Path) -> Path:
    """PATH with `.tests` before its suffix."""
    return path.with_name(f"{path.stem}.tests{path.suffix}")


def _lines(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n") or not text, f"{path}: torn last line"
    return text.splitlines()
