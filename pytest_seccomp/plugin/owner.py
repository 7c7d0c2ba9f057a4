"""The session that owns PATH: it merges the spools of the run and tells the user what came of it."""

import os
import platform
from collections.abc import Callable
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
        self._kept = False

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
        salvage.describe(self.directory, self._destination, self._run(None, []), append=self.options.append)

    def clean_up(self) -> None:
        """Leave nothing behind, also where the session did not begin."""
        self.merged()
        if not self._kept:
            self.directory.remove()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        reasons = self.finish_recording()
        reasons += [
            f"{path.stem}: its recorder still writes after {_SPOOL_SECONDS:.0f} s"
            for path in self.directory.wait_until_written(_SPOOL_SECONDS)
        ]
        run = self._run(int(exitstatus), reasons)
        try:
            self._written = write_trace(self._destination, run, self.directory.spools(), append=self.options.append)
        except SeccompError as error:
            self._kept = True
            self._error = f"{error}. What was recorded is kept in {self.directory.path}"
            if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
        self.merged()

    def pytest_report_header(self) -> str:
        return summary.header(self.backend, self.options.path, append=self.options.append)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._error is not None:
            summary.failure(terminalreporter, self._error)
        elif self._written is not None:
            summary.success(terminalreporter, self.backend, self._written)

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
            lost=0,
            exit_status=exit_status,
            selection=selection,
            python=platform.python_version(),
            pytest=pytest.__version__,
            kernel=uname.release,
            arch=uname.machine,
            workers=self.workers,
            reasons=reasons,
        )
