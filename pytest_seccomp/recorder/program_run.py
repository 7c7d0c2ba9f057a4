"""A recorded program from its start to the files of its trace."""

import json
import os
import platform
import shlex
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from signal import Signals

from pytest_seccomp.errors import RecorderError, SeccompError, TraceError
from pytest_seccomp.recorder import program_wait, salvage
from pytest_seccomp.recorder.candidates import first_that_works, in_words
from pytest_seccomp.recorder.program import TracedProgram
from pytest_seccomp.recorder.settings import for_traced
from pytest_seccomp.recorder.spools import SpoolDirectory
from pytest_seccomp.trace.destination import Destination
from pytest_seccomp.trace.records import Run
from pytest_seccomp.trace.store import Written, write_trace

_SPOOL_SECONDS = 60.0


@dataclass(slots=True, frozen=True)
class Command:
    """What is to be recorded."""

    path: str
    argv: Sequence[str]

    @property
    def name(self) -> str:
        """In the place of a test's id."""
        return shlex.join(self.argv)


@dataclass(slots=True)
class ProgramRun:
    """A program that is recorded. To be used within `program_wait.signals_held`."""

    command: Command
    destination: Destination
    directory: SpoolDirectory
    append: bool
    backend: str = ""
    notes: list[str] = field(default_factory=list)
    """What the user should know of the backend."""
    _program: TracedProgram = field(init=False)

    @classmethod
    def begin(
        cls,
        command: Command,
        destination: Destination,
        candidates: Sequence[str],
        blocked: Iterable[Signals],
        *,
        append: bool,
    ) -> "ProgramRun":
        """Start the program under the first of the backends that works. `blocked` are the signals that it finds
        blocked. Raises CannotExecute, or SeccompError where it cannot be recorded."""
        run = cls(command, destination, SpoolDirectory.create(), append)
        try:
            run._start(candidates, tuple(blocked))
        except BaseException:
            run.directory.remove()
            raise
        return run

    def _start(self, candidates: Sequence[str], blocked: Sequence[Signals]) -> None:
        path, argv = os.fsencode(self.command.path), list(map(os.fsencode, self.command.argv))

        def start(backend: str) -> TracedProgram:
            settings = for_traced(backend, self.directory)
            return TracedProgram.start(path, argv, json.dumps(self.command.name), settings, blocked)

        self._program, failures = first_that_works(candidates, start)
        self.backend = self._program.backend
        self.notes = in_words(failures) + self._program.notes
        # Not before: what a program that did not start leaves behind is no trace
        self._describe(self._run(None, []))

    def wait(self, tell: Callable[[int, int], None], *, for_others: bool) -> int:
        """As `program_wait.wait`."""
        return program_wait.wait(self._program, tell, for_others=for_others)

    def others(self) -> list[int]:
        """The processes that the program has started and that go on without it."""
        return self._program.others()

    def write(self, status: int) -> Written:
        """End the recording and write the trace; `status` is as `wait` returns it. Raises TraceError where it cannot be
        written, with what the user can do."""
        exit_status = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        reasons = self._program.finish("failed" if status else "passed")
        reasons += [
            f"{path.stem}: its recorder still writes after {_SPOOL_SECONDS:.0f} s"
            for path in self.directory.wait_until_written(_SPOOL_SECONDS)
        ]
        spools = self.directory.spools()
        if not spools:
            reasons.append(self.directory.gone)
        run = self._run(exit_status, reasons)
        try:
            written = write_trace(self.destination, run, spools, append=self.append)
        except SeccompError as error:
            self._describe(run)
            command = salvage.by_hand(self.directory, self.destination.path, append=self.append)
            raise TraceError(f"{error}; what was recorded is kept, and this makes a trace of it: {command}") from error
        salvage.withdraw(self.directory)
        self._program.merged()
        self.directory.remove()
        return written

    def _describe(self, run: Run) -> None:
        # The program runs already: it may have removed the directory, or filled the disk. `write` finds out and tells
        with suppress(RecorderError):
            salvage.describe(self.directory, self.destination, run, append=self.append)

    def _run(self, exit_status: int | None, reasons: list[str]) -> Run:
        uname = os.uname()
        return Run(
            backend=self.backend,
            complete=not reasons,
            lost=None if reasons else 0,
            exit_status=exit_status,
            selection=list(self.command.argv),
            python=platform.python_version(),
            pytest="",
            kernel=uname.release,
            arch=uname.machine,
            workers=0,
            reasons=reasons,
        )
