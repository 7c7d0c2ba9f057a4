"""Runs of pytest that go on while a test looks at them or kills something, and what is left of them afterwards.

Every process of a run, the recorder and daemons included, inherits an environment variable with a value of the run's
own: so they are found whatever became of their parents, and nobody else's are.
"""

import contextlib
import os
import select
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from traced import Finished, Suite, Trace

VARIABLE = "RUN_OF_A_TEST"
DEADLINE = 300.0
"""Seconds after which what a test waits for is taken not to come. Nothing depends on how long it takes."""

_KERNEL_THREAD = 0x00200000
"""PF_KTHREAD in the flags of a process: include/linux/sched.h."""

_Found = TypeVar("_Found")


def until(what: str, find: Callable[[], _Found]) -> _Found:
    """Wait until `find` finds something that is true, and return it. Fails with `what` and what was found last."""
    start = time.monotonic()
    while not (found := find()):
        waited = time.monotonic() - start
        assert waited < DEADLINE, f"waited {DEADLINE:.0f} s in vain: {what}; the last answer was {found!r}"
        time.sleep(min(0.2, 0.01 + waited / 10))  # often at first, to be quick; looking costs
    return found


def kill(pid: int) -> None:
    """End a process, and wait until it has ended: only then has it let go of its descriptors, by which others know. It
    must not have ended before."""
    ending = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGKILL)
        waiting = select.poll()
        waiting.register(ending, select.POLLIN)
        assert waiting.poll(1000 * DEADLINE), f"killed, and does not end: {pid}"
    finally:
        os.close(ending)


@dataclass(frozen=True, slots=True)
class Process:
    """A process as /proc shows it. `command` is its command line in one text."""

    pid: int
    parent: int
    state: str
    command: str

    @classmethod
    def all_with(cls, token: str) -> list["Process"]:
        """Those that run has made, by the pid. Zombies have no environment and are not among them.

        Whoever ends while the others are looked at may have made another one meanwhile. So it is asked who is new,
        until nobody is.
        """
        found: dict[int, Process] = {}
        seen: set[int] = set()
        while new := {int(name) for name in os.listdir("/proc") if name.isdigit()} - seen:
            for pid in new:
                if process := cls._of(Path(f"/proc/{pid}"), f"{VARIABLE}={token}".encode()):
                    found[pid] = process
            seen |= new
        return [found[pid] for pid in sorted(found)]

    @classmethod
    def _of(cls, entry: Path, variable: bytes) -> "Process | None":
        try:
            if variable not in _environment(entry).split(b"\0"):
                return None
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            state, parent, _, _ = _stat(entry)
        except OSError:
            return None  # ended meanwhile, or somebody else's
        return cls(int(entry.name), parent, state, command)

    def kill(self) -> None:
        """As the function `kill`."""
        kill(self.pid)

    @property
    def is_ours(self) -> bool:
        """Whether it belongs to the plugin: recorder, standby, or the one that merges in place of a killed pytest."""
        return "pytest_seccomp.recorder" in self.command

    @property
    def records(self) -> bool:
        """Whether it is a recorder or a standby."""
        return "recorder.process" in self.command

    @property
    def watches(self) -> bool:
        """Whether it is a watcher or a sentinel."""
        return "recorder.watcher" in self.command

    @property
    def stands_by(self) -> bool:
        """Whether it is a standby that is ready, given a child of a recorder: it ignores the signal by which it wakes
        the recorder. Children that there were before, and that may not have come to their end, do not."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text(errors="replace")
        except OSError:
            return False  # ended meanwhile
        ignored = int(status.partition("SigIgn:")[2].split()[0], 16)
        return bool(ignored >> (signal.SIGUSR1 - 1) & 1)


def _environment(entry: Path) -> bytes:
    """The environment of a process in /proc; empty where it has none. Raises OSError.

    It reads as empty, too, while the process becomes another program, between the old memory and the new one, and while
    it ends, when it still has its descriptors. So it is read until it is known which it is.
    """
    stack = 0
    while not (environment := (entry / "environ").read_bytes()):
        before = stack
        state, _, flags, stack = _stat(entry)
        if state in ("Z", "X") or flags & _KERNEL_THREAD or before == stack > 0:
            break
        if not stack:
            time.sleep(0.001)
    return environment


def _stat(entry: Path) -> tuple[str, int, int, int]:
    """State, parent, flags of a process in /proc, and where its stack begins: at another place in each program that it
    becomes, 0 where it has no memory (proc_pid_stat(5)). Raises OSError."""
    fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
    return fields[0], int(fields[1]), int(fields[6]), int(fields[25])


class Run:
    """A run of pytest in the background, in a process group and with a TMPDIR of its own. To be used in a `with`, which
    ends what is left of it."""

    def __init__(
        self,
        suite: Suite,
        *arguments: str,
        plugins: Iterable[str] | None = (),
        environment: Mapping[str, str | None] | None = None,
        before: Sequence[str] = (),
        python: Sequence[str] = (),
        temporary: Path | None = None,
    ) -> None:
        plugins = None if plugins is None else list(plugins)
        self.suite = suite
        self.token = uuid.uuid4().hex
        if temporary is None:
            temporary = suite.folder.parent / f"tmp-{self.token}"
            temporary.mkdir()
        self.temporary = temporary
        changes = {VARIABLE: self.token, "TMPDIR": str(temporary), **(environment or {})}
        self._stdout = suite.folder.parent / f"stdout-{self.token}"
        self._stderr = suite.folder.parent / f"stderr-{self.token}"
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            self.pytest = subprocess.Popen(
                [*before, *suite.command(arguments, plugins, python)],
                cwd=suite.folder,
                env=suite.environment(plugins, changes),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                process_group=0,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while processes := self.processes():
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.01)
        self.pytest.wait()

    def processes(self) -> list[Process]:
        """All that live of this run."""
        return Process.all_with(self.token)

    def recorders(self) -> list[Process]:
        """The recorders, the first started first; no standby. One starts in a process that forks it and ends: where
        that was looked at before its end and the recorder after it, both would seem to be one."""
        seen_before: dict[int, int] = {}
        while True:
            found = [process for process in self.processes() if process.records]
            seen = {process.pid: process.parent for process in found}
            if seen == seen_before:
                return [process for process in found if process.parent not in seen]
            seen_before = seen

    def recorder(self) -> Process:
        """The only recorder. Waits until it traces and has a standby: from then on it can be killed."""

        def ready() -> Process | None:
            recorders = self.recorders()
            assert len(recorders) < 2, recorders
            described = any((directory / "run.json").exists() for directory in self.spool_directories())
            if self.pytest.poll() is None and not described:
                return None  # not even a listener
            return recorders[0] if recorders and self.standbys(recorders[0]) else None

        found = until("a recorder and its standby", ready)
        assert found is not None
        return found

    def kill_watchers(self) -> None:
        """End all watchers of the kernel's log, each together with its sentinel, which ends with it."""
        watching = [process for process in self.processes() if process.watches]
        assert watching
        for process in watching:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    def standbys(self, recorder: Process) -> list[Process]:
        """The children of a recorder that are a standby: one, or none yet."""
        children = [process for process in self.processes() if process.records and process.parent == recorder.pid]
        return [process for process in children if process.stands_by]

    def wait_for(self, name: str) -> Path:
        """Wait for a file that a test of the suite makes in the suite's folder."""
        path = self.suite.folder / name

        def there() -> bool:
            assert self.pytest.poll() is None or path.exists(), f"no {name}: {self._finished().output}"
            return path.exists()

        until(f"the file {name}", there)
        return path

    def wait_for_line(self, name: str) -> None:
        """Wait until a recorder has written the line of a test: one that rests does so when it likes."""

        def written() -> bool:
            spools = [spool for directory in self.spool_directories() for spool in directory.glob("*.ndjson")]
            return any(f"::{name}" in spool.read_text() for spool in spools)

        until(f"the line of {name}", written)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the process that was started, and to no other."""
        self.pytest.send_signal(number)

    def interrupt(self) -> None:
        """What Ctrl-C does: SIGINT to the whole foreground group."""
        os.killpg(self.pytest.pid, signal.SIGINT)

    def finish(self, status: int | None = None) -> Finished:
        """Wait for pytest's end, demand an exit status where one is given, and say what it printed."""
        try:
            self.pytest.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"pytest hangs: {self.processes()}\n{self._finished().output}") from None
        finished = self._finished()
        return finished if status is None else finished.expect(status)

    def trace(self, status: int | None = None) -> Trace:
        """The trace in out.ndjson, after pytest's end."""
        return self.finish(status).trace()

    def salvaged(self) -> Trace:
        """The trace in out.ndjson that is written in place of a killed pytest, once it is there."""
        self.finish()
        until("a trace", (self.suite.folder / "out.ndjson").exists)
        self.expect_nothing_left()
        return self._finished().trace()

    def expect_nothing_left(self, *, daemons: bool = False) -> None:
        """Wait until no process of the run lives, and see that it left no file of ours in TMPDIR. With `daemons` only
        processes that merge must be gone: others are still traced."""

        def gone() -> bool:
            left = self.processes()
            return not [process for process in left if not daemons or (process.is_ours and not process.records)]

        self.pytest.wait(DEADLINE)
        try:
            until("the end of every process", gone)
        except AssertionError:
            raise AssertionError(f"left behind: {self.processes()}\n{self._finished().output}") from None
        assert self.spool_directories() == []
        drafts = [path for path in self.suite.folder.iterdir() if path.suffix in (".tmp", ".lock", ".old")]
        assert drafts == []

    def spool_directories(self) -> list[Path]:
        """Where the recorders write until the end of the run."""
        return sorted(self.temporary.glob("pytest-seccomp-*"))

    def _finished(self) -> Finished:
        status = self.pytest.poll()
        return Finished(
            self.suite.folder,
            -999 if status is None else status,
            self._stdout.read_text(encoding="utf-8", errors="replace"),
            self._stderr.read_text(encoding="utf-8", errors="replace"),
        )


@contextlib.contextmanager
def traced(suite: Suite, *arguments: str, **settings: object) -> Iterator[Run]:
    """Start a run that writes out.ndjson into the suite's folder."""
    with Run(suite, "--seccomp-trace=out.ndjson", *arguments, **settings) as run:  # type: ignore[arg-type]
        yield run
