"""The session that owns PATH: it merges the spools of the run and tells the user what came of it."""

import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.plugin import summary
from pytest_seccomp.plugin.options import Options
from pytest_seccomp.plugin.session_owner import SessionOwner
from pytest_seccomp.plugin.workers import SPOOL_SECONDS
from pytest_seccomp.recorder import protocol, salvage
from pytest_seccomp.recorder.spools import SpoolDirectory
from pytest_seccomp.trace.recorded import Recorded
from pytest_seccomp.trace.records import Run
from pytest_seccomp.trace.store import Destination, Written, write_trace

if TYPE_CHECKING:
    from pytest_seccomp.plugin.profiles.owner import ProfileOwner


class Owner(SessionOwner):
    """Collects what the recorders wrote, merges it into PATH, if there is one, and has it judged by a profile, if there
    is one.

    `finish_recording` ends the recording and returns the reasons for the trace to be incomplete.
    """

    def __init__(
        self,
        config: pytest.Config,
        options: Options,
        destination: Destination | None,
        directory: SpoolDirectory,
        profile: "ProfileOwner | None",
    ) -> None:
        super().__init__(config, directory)
        self.options = options
        self.backend = options.backend
        self.workers = 0
        self.finish_recording: Callable[[], list[str]] = list
        self._destination = destination
        self._profile = profile
        self._is_read = False
        """Whether what was recorded has been read, where it is not written."""
        self._written: Written | None = None
        self._unwritten: list[str] = []
        """Why there is no trace, and what the user can do."""
        self._cut_short: str | None = None
        """That the session did not come to its end: no call is lost, but tests that were to be run are missing."""

    @classmethod
    def start(cls, config: pytest.Config, options: Options, profile: "ProfileOwner | None") -> "Owner":
        """Check that PATH can be written, before anything runs. Raises SeccompError."""
        destination = None
        if options.path is not None:
            destination = Destination.check(Path(options.path), append=options.append)
        # The recorder, which is started next, removes it if this process is killed. In the fraction of a millisecond in
        # between nobody would; made by the recorder itself, nobody but the recorder would know why it cannot be made
        directory = SpoolDirectory.create()
        owner = cls(config, options, destination, directory, profile)
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

    def _describe(self, run: Run | None = None) -> None:
        if self._destination is None:
            return  # whoever comes in place of a killed session finds nothing to merge, and removes the directory
        run = run or self._run(None, [])
        salvage.describe(self.directory, self._destination, run, append=self.options.append)

    def _is_settled(self) -> bool:
        return self._written is not None or self._is_read

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # Of other types, pytest's and xdist's own, is what an option asked for: --stepwise, -x with xdist
        if excinfo.type in (KeyboardInterrupt, pytest.exit.Exception):
            self._cut_short = "the session was interrupted"

    def pytest_internalerror(self) -> None:
        self._cut_short = "the session was broken off by an error in pytest or a plugin"

    def _end(self, session: pytest.Session) -> None:
        reasons = self.finish_recording()
        # A recorder that is told nothing any more writes until this process ends
        if not any(reason.startswith(protocol.HIDDEN) for reason in reasons):
            reasons += [
                f"{path.stem}: its recorder still writes after {SPOOL_SECONDS:.0f} s"
                for path in self.directory.wait_until_written(SPOOL_SECONDS)
            ]
        spools = self.directory.spools()
        if not spools and not reasons:
            reasons.append(self.directory.gone)
        if self._nothing_to_write():
            self._unwritten = [f"no test was traced{self._left()}"]  # and pytest says why
            self._withdraw()
        else:
            run = self._run(int(session.exitstatus), reasons)
            if self._cut_short is not None:
                run.complete, run.reasons = False, [*run.reasons, self._cut_short]
            fails = self._read(run, spools) if self._destination is None else self._merge(session, run, spools)
            if fails and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self.merged()

    def _cannot_end(self, session: pytest.Session, error: str) -> None:
        fails = self._profile is not None and self._profile.cannot(error)
        status = pytest.ExitCode.TESTS_FAILED
        if self._destination is not None:
            self._keep(self._destination, error, self._run(int(session.exitstatus), [error]))
            status = pytest.ExitCode.INTERNAL_ERROR
            self.merged()
        # Without PATH the recorder is not told: it removes what this process may not even be able to list
        if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED if fails else status

    def _nothing_to_write(self) -> bool:
        """Whether no test was to be run: none was found, or pytest was asked for something else (--collect-only,
        --fixtures). What it took to find that out does not replace a trace."""
        if self._config.getoption("setuponly"):  # also under --setup-plan: then fixtures are shown test by test
            return True
        # Tests that were run and lost are no reason to keep an older trace, which would look like theirs
        return not self.directory.has_tests() and not self._announced

    def _left(self) -> str:
        if self._destination is None:
            return ", and none judged"
        place = self._place(self._destination.path)
        return f": {place} is left as it was" if self._destination.path.exists() else f": {place} is not written"

    def _read(self, run: Run, spools: list[Path]) -> bool:
        """Have the profile judge what was recorded. Returns whether the session fails for it."""
        assert self._profile is not None, "nothing is recorded for nobody"
        self._is_read = True
        try:
            with self._modules_found():
                totals = Recorded(run, spools).read(self._profile.visit)
        except SeccompError as error:
            return self._profile.cannot(str(error))
        finally:
            self._withdraw()
        return self._judge(totals.complete, totals.reasons)

    def _judge(self, complete: bool, reasons: list[str]) -> bool:
        if self._profile is None:
            return False
        return self._profile.end(complete=complete, reasons=reasons, cut_short=self._cut_short)

    def _merge(self, session: pytest.Session, run: Run, spools: list[Path]) -> bool:
        """Write the trace. Returns whether the session fails for what the profile says."""
        assert self._destination is not None, "there is a PATH"
        visit = None if self._profile is None else self._profile.visit
        try:
            with self._modules_found():
                self._written = write_trace(self._destination, run, spools, append=self.options.append, visit=visit)
        except SeccompError as error:
            self._keep(self._destination, str(error), run)
            if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
                session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
            return self._profile is not None and self._profile.cannot("the trace could not be written")
        self._withdraw()
        return self._judge(self._written.complete, self._written.reasons)

    def _keep(self, destination: Destination, error: str, run: Run) -> None:
        try:
            self._describe(run)
        except SeccompError:
            pass  # it stays described as it was at the beginning, and its trace will be called incomplete
        command = salvage.by_hand(self.directory, destination.path, append=self.options.append)
        self._unwritten = [error, "What was recorded is kept. This makes a trace of it:", f"  {command}"]

    def _withdraw(self) -> None:
        salvage.withdraw(self.directory)
        self.directory.remove()

    def pytest_report_header(self) -> list[str]:
        place = None if self._destination is None else self._place(self._destination.path)
        lines = summary.header(self.backend, self.notes, place, append=self.options.append)
        return lines if self._profile is None else [*lines, *self._profile.header()]

    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        self._told = True
        if self._unwritten:
            summary.unwritten(terminalreporter, self._unwritten)
        elif self._written is not None:
            summary.written(terminalreporter, self.backend, self._written, self._place)
        if self._profile is not None:
            self._profile.tell(terminalreporter)

    def _tell_on_stderr(self) -> None:
        lines = self._unwritten
        if self._written is not None and not self._written.complete:
            lines = [f"the trace in {self._place(self._written.path)} is incomplete:", *self._written.reasons]
        if self._profile is not None:
            lines = [*lines, *self._profile.in_short()]
        for line in lines:
            print(f"pytest-seccomp: {line}", file=sys.stderr)

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
