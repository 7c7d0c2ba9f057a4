"""The session that owns PATH: it gathers what was denied, fails for it, writes it down and tells the user."""

import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.gate.verdict import SessionVerdict
from pytest_seccomp.plugin.denials import summary
from pytest_seccomp.plugin.denials.options import DenialOptions
from pytest_seccomp.plugin.session_owner import SessionOwner
from pytest_seccomp.plugin.workers import SPOOL_SECONDS
from pytest_seccomp.recorder import denial_salvage
from pytest_seccomp.recorder.spools import SpoolDirectory
from pytest_seccomp.recorder.watch import Watch
from pytest_seccomp.trace.denials import Spooled
from pytest_seccomp.trace.deny_log import DenyLog


class DenialOwner(SessionOwner):
    """Judges the session and writes PATH.

    `settle` is called when the tests are over, and returns all that has been denied so far; `finish` at the very end:
    then the spools have all, and it returns reasons that they do not have for some to be missing.
    """

    def __init__(self, config: pytest.Config, options: DenialOptions, log: DenyLog, directory: SpoolDirectory) -> None:
        super().__init__(config, directory)
        self.options = options
        self.settle: Callable[[], Spooled] = Spooled
        self.finish: Callable[[], list[str]] = list
        self._log = log
        self._source = ""
        self._notes_told = 0
        self._verdict: SessionVerdict | None = None
        self._ending: list[str] = []
        self._is_unwritten = self._is_left = False
        """Whether PATH is not written, and whether the directory is left to the watcher, which removes it."""

    @classmethod
    def start(cls, config: pytest.Config, options: DenialOptions) -> "DenialOwner":
        """Check that PATH can be written, before anything runs. Raises SeccompError."""
        log = DenyLog.check(Path(options.path))
        directory = SpoolDirectory.create()
        owner = cls(config, options, log, directory)
        config.add_cleanup(owner.clean_up)
        denial_salvage.describe(directory, log)
        config.pluginmanager.register(owner, "seccomp-denials-owner")
        return owner

    def has_begun(self, watch: Watch) -> None:
        """A watcher is there: it writes PATH from now on if this process is killed."""
        self._source, self.merged = watch.source, watch.merged

    def _is_settled(self) -> bool:
        return self._verdict is not None and not self._is_left

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """What has no report of a test to fail fails the session: what came late, before a rerun, or is missing."""
        result = yield
        if self._is_the_owner() and self._judge(self.settle()).fails and not session.testsfailed:
            session.testsfailed += 1
        return result

    def _end(self, session: pytest.Session) -> None:
        reasons = self.finish()
        found = self.gathered()
        found.reasons += [reason for reason in reasons if reason not in found.reasons]
        self._verdict = self._judge(found)
        if not self._announced and not found.denials:
            self._ending = [f"no test was run: {self._place(self._log.path)} is left as it was"]  # and pytest says why
        else:
            status = self._write(found)
            if self._verdict.fails:
                status = pytest.ExitCode.TESTS_FAILED
            if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) and status:
                session.exitstatus = status
        self._withdraw()
        self.merged()

    def _cannot_end(self, session: pytest.Session, error: str) -> None:
        # The watcher is not told: it removes what this process may not even be able to list
        self._is_unwritten = self._is_left = True
        denial_salvage.withdraw(self.directory)
        if self._verdict is None:
            self._verdict = self._judge(Spooled(reasons=[error]))
            self._ending = [f"NOT WRITTEN: {self._place(self._log.path)}"]
        else:
            self._ending = [f"NOT WRITTEN: {error}"]
        if session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            failed = self._verdict.fails
            session.exitstatus = pytest.ExitCode.TESTS_FAILED if failed else pytest.ExitCode.INTERNAL_ERROR

    def _write(self, found: Spooled) -> pytest.ExitCode:
        """Write PATH; returns what that alone makes of a session."""
        try:
            with self._modules_found():
                replaced = self._log.write(found)
        except SeccompError as error:
            self._is_unwritten, self._ending = True, [f"NOT WRITTEN: {error}"]
            return pytest.ExitCode.INTERNAL_ERROR
        place = self._place(self._log.path)
        others = f"{place} was written by another run meanwhile, which this one has replaced"
        self._ending = [*([others] if replaced else []), f"written: {place}"]
        return pytest.ExitCode.OK

    def gathered(self) -> Spooled:
        """What the watchers have written, when they have ended."""
        late = self.directory.wait_until_written(SPOOL_SECONDS)
        spools = self.directory.spools()
        with self._modules_found():
            found = Spooled.read(spools)
        if self._announced and not spools:
            found.reasons.append(self.directory.gone)
        found.reasons += [f"{path.stem}: its watcher still writes after {SPOOL_SECONDS:.0f} s" for path in late]
        return found

    def _judge(self, found: Spooled) -> SessionVerdict:
        return SessionVerdict(self.options.mode, found.denials, found.reasons)

    def _withdraw(self) -> None:
        denial_salvage.withdraw(self.directory)
        self.directory.remove()

    def pytest_report_header(self) -> list[str]:
        self._notes_told = len(self.notes)
        return summary.header(self._source, self.notes, self._place(self._log.path), self.options.mode)

    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter") -> None:
        self._told = True
        verdict = self._verdict
        if verdict is None:
            return
        if not self._is_unwritten and not summary.is_told(verdict, terminalreporter.verbosity):
            return
        added = self._config.hook.pytest_seccomp_summary(denials=list(verdict.denials))
        others = [line for lines in added for line in (lines.splitlines() if isinstance(lines, str) else lines)]
        ending = [*self.notes[self._notes_told :], *self._ending]  # the notes of workers come last
        summary.section(terminalreporter, verdict, self._source, ending, others)

    def _tell_on_stderr(self) -> None:
        verdict = self._verdict
        if verdict is None:
            return
        lines = [f"incomplete: {reason}" for reason in verdict.reasons]
        if verdict.unexpected:
            lines.append(f"{len(verdict.unexpected)} unexpected denials: see {self._place(self._log.path)}")
        for line in lines:
            print(f"pytest-seccomp: {line}", file=sys.stderr)
