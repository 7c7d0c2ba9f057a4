"""The session that owns PATH: it merges the spools of the run and tells the user what came of it."""

import os
import platform
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.plugin import summary
from pytest_seccomp.plugin.options import Options
from pytest_seccomp.recorder import salvage
from pytest_seccomp.recorder.spools import SpoolDirectory
from pytest_seccomp.trace.records import Run
from pytest_seccomp.trace.store import Destination, Written, write_trace

_SPOOL_SECONDS = 10.0


class Owner:
    """Collects what the recorders wrote and merges it into PATH.

    `finish_recording` ends the recording and returns the reasons for the trace to be incomplete; `merged` tells who
    would merge in our place that there is nothing left to do.
    """

    def __init__(
        self, config: pytest.Config, options: Options, destination: Destination, directory: SpoolDirectory
    ) -> None:
        self.options = options
        self._config = config
        self.directory = directory
        self.backend = options.backend
        self.workers = 0
        self.finish_recording: Callable[[], list[str]] = list
        self.merged: Callable[[], None] = lambda: None
        self._destination = destination
        self._written: Written | None = None
        self._error: str | None = None
        self._process = os.getpid()
        self._begun = False
        self._told = False

    @classmethod
    def start(cls, config: pytest.Config, options: Options) -> "Owner":
        """Check that PATH can be written, before anything runs. Raises SeccompError."""
        destination = Destination.check(Path(options.path), append=options.append)
        directory = SpoolDirectory.create()
        owner = cls(config, options, destination, directory)
        config.add_cleanup(owner.clean_up)
        config.pluginmanager.register(owner, "seccomp-owner")
        return owner

    def has_begun(self, backend: str) -> None:
        """A recorder is there: it merges from now on if this process is killed."""
        self.backend = backend
        self._describe()

    def has_workers(self, count: int) -> None:
        """xdist starts so many workers."""
        self.workers = count
        try:
            self._describe()
        except SeccompError:
            pass  # the disk is full: should the session be killed, its trace lacks their number

    def _describe(self) -> None:
        salvage.describe(self.directory, self._destination, self._run(None, []), append=self.options.append)

    def clean_up(self) -> None:
        """Leave nothing behind, also where the session did not begin."""
        if not self._is_the_owner():
            return
        if not self._told:
            self._tell_on_stderr()
        if self._begun and self._written is None:
            return  # kept, or broken off: then it is merged, as for a killed session, when this process has ended
        self.merged()
        self.directory.remove()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        self._begun = True

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """After the part of all other plugins, also where one of them fails."""
        try:
            return (yield)
        finally:
            if self._is_the_owner():
                self._write(session)

    def _write(self, session: pytest.Session) -> None:
        reasons = self.finish_recording()
        reasons += [
            f"{path.stem}: its recorder still writes after {_SPOOL_SECONDS:.0f} s"
            for path in self.directory.wait_until_written(_SPOOL_SECONDS)
        ]
        spools = self.directory.spools()
        if not spools and not reasons:
            reasons.append(f"all that was recorded is gone: somebody has removed {self.directory.path}")
        run = self._run(int(session.exitstatus), reasons)
        try:
            self._written = write_trace(self._destination, run, spools, append=self.options.append)
        except SeccompError as error:
            self._error = f"{error}. What was recorded is kept in {self.directory.path}"
            if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
        else:
            # Now, not when pytest ends: killed in between, it would leave it behind, or be merged a second time
            salvage.withdraw(self.directory)
            self.directory.remove()
        self.merged()

    def pytest_report_header(self) -> str:
        return summary.header(self.backend, self.options.path, append=self.options.append)

    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        self._told = True
        if self._error is not None:
            summary.failure(terminalreporter, self._error)
        elif self._written is not None:
            summary.success(terminalreporter, self.backend, self._written)

    def _is_the_owner(self) -> bool:
        """Not a forked child, in which a test came back into pytest (sys.exit() does that)."""
        return os.getpid() == self._process

    def _tell_on_stderr(self) -> None:
        """What must be said where there is no terminal plugin, or where it did not come to its summary."""
        message = self._error
        if self._written is not None and not self._written.complete:
            message = f"the trace in {self._written.path} is incomplete: {'; '.join(self._written.reasons)}"
        if message is not None:
            print(f"pytest-seccomp: {message}", file=sys.stderr)

    def _run(self, exit_status: int | None, reasons: list[str]) -> Run:
        namespace = self._config.known_args_namespace
        selection = [str(argument) for argument in namespace.file_or_dir]
        for option, value in (("-k", namespace.keyword), ("-m", namespace.markexpr)):
            if value:
                selection += [option, value]
        uname = os.uname()
        return Run(
            backend=self.backend,
            complete=not reasons,
            lost=None if reasons else 0,
            exit_status=exit_status,
            selection=selection,
            python=platform.python_version(),
            pytest=pytest.__version__,
            kernel=uname.release,
            arch=uname.machine,
            workers=self.workers,
            reasons=reasons,
        )
