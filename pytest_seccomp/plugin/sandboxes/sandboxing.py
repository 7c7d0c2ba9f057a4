"""What programs in sandboxes did, and whose it is: of the test that runs, in its counts, its line and its verdict."""

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from pytest_seccomp.errors import SandboxError
from pytest_seccomp.gate import words
from pytest_seccomp.gate.expectations import Expectation
from pytest_seccomp.gate.verdict import Verdict
from pytest_seccomp.plugin import tracing
from pytest_seccomp.plugin.denials.judging import Judging
from pytest_seccomp.plugin.denials.watching import apply
from pytest_seccomp.plugin.policies import policing
from pytest_seccomp.plugin.policies.rules import Rules
from pytest_seccomp.plugin.tracing import Tracing
from pytest_seccomp.plugin.unfiltered import ASKED, spawn
from pytest_seccomp.profile.in_process import InProcess
from pytest_seccomp.recorder import labels
from pytest_seccomp.recorder.settings import own_cookie
from pytest_seccomp.sandbox.sandbox import Sandbox
from pytest_seccomp.sandbox.sandboxes import Sandboxes
from pytest_seccomp.sandbox.told import Told
from pytest_seccomp.trace.denials import Denial

NAME = "seccomp-sandboxes"


@dataclass(slots=True, frozen=True)
class About:
    """What the user has said of a sandbox."""

    policy: str | None
    """In words; None where there is none."""
    expected: Sequence[Expectation] = ()
    """Denials that fail nothing."""


class Sandboxing:
    """The sandboxes of this process, and the hooks that ask them what they did.

    They are asked whenever the label changes for which calls count, and before each report. What is denied when no test
    runs is the next test's, or late in a deny log.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._rules = Rules.of(config)
        recorders = (config.pluginmanager.get_plugin(name) for name in (tracing.NAME, ASKED))
        self._tracing: Tracing | None = next(filter(None, recorders), None)
        is_traced = config.pluginmanager.has_plugin(tracing.NAME)
        self.sandboxes = Sandboxes(lambda *what: spawn(config)(*what), own_cookie(), record=is_traced)
        self._denied: list[Denial] = []
        """Denials, and what was logged, that are in no report yet."""
        self._reasons: list[str] = []
        """Why denials may be missing, where that is in no report yet."""
        self._item: pytest.Item | None = None
        self._number = 0
        if self._tracing is not None:
            self._tracing.at_leave.append(self._take)
            self._tracing.at_block.append(self._take_now)

    @classmethod
    @contextmanager
    def started(cls, config: pytest.Config) -> Iterator["Sandboxing"]:
        """For the time of a fixture. Raises SeccompError for options that cannot be."""
        sandboxing = cls(config)
        config.pluginmanager.register(sandboxing, NAME)
        try:
            with sandboxing.apart():
                sandboxing.sandboxes.start()
            yield sandboxing
        finally:
            sandboxing.sandboxes.close()

    @property
    def policies_of_the_test(self) -> tuple[InProcess, ...]:
        """Those that hold at this moment, for what the test starts as well."""
        others: policing.Policing | None = self._config.pluginmanager.get_plugin(policing.NAME)
        return () if others is None else others.now

    @contextmanager
    def apart(self) -> Iterator[None]:
        """What is done in here is no test's, where that can be: the label is that of all threads, which are under the
        policy of a test only with the test's."""
        recording = self._tracing
        others: policing.Policing | None = self._config.pluginmanager.get_plugin(policing.NAME)
        is_policed = others is not None and others.is_in_force
        if recording is None or is_policed or threading.current_thread() is not threading.main_thread():
            yield
            return
        label = recording.client.label
        recording.client.mark(labels.HARNESS)
        try:
            yield
        finally:
            recording.client.mark(label)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, object, object]:
        self._settle()
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: "pytest.CallInfo[None]"
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        if call.when == "setup":
            self._number = self._number + 1 if item is self._item else 0
            # pytest-rerunfailures counts on where another worker has crashed
            self._number = max(self._number, getattr(item, "execution_count", 1) - 1)
            self._item = item
        self._take_now()
        found, self._denied = self._denied, []
        reasons, self._reasons = self._reasons, []
        found = [replace(denial, nodeid=item.nodeid, phase=call.when, rerun=self._number) for denial in found]
        logged = [denial for denial in found if denial.action == "log"]
        denied = [denial for denial in found if denial.action != "log"]
        told = self._tell(denied, item)
        report = yield
        if not told and denied:
            judging = Judging(self._config, self._rules.expected, item)
            denied = [judging.judge(denial, item) for denial in denied]
            apply(Verdict(item.nodeid, call.when, self._number, self._rules.mode, denied), report)
            if judging.error is not None:
                _fail(report, judging.error)
        if logged:
            listing = words.listing(item.nodeid, call.when, self._number, logged)
            report.sections.append((policing.LOGGED, listing))
        if reasons:
            _fail(report, f"what was denied in a sandbox may be missing: {'; '.join(reasons)}")
        return report

    @pytest.hookimpl(trylast=True)  # after the last fixtures have been torn down, where a session is broken off
    def pytest_sessionfinish(self) -> None:
        self._settle()

    def _tell(self, denied: list[Denial], item: pytest.Item) -> bool:
        """Leave the verdict to those who have others of the same report; returns whether there are any."""
        if self._rules.watching is not None:
            self._rules.watching.tell(denied)
            return True
        others: policing.Policing | None = self._config.pluginmanager.get_plugin(policing.NAME)
        return others is not None and others.tell(denied, item)

    def _settle(self) -> None:
        """What no report will have."""
        self._take_now()
        watching = self._rules.watching
        if watching is not None:
            found, self._denied = self._denied, []
            watching.tell_late([denial for denial in found if denial.action != "log"])
            watching.reasons += [reason for reason in self._reasons if reason not in watching.reasons]
            self._reasons = []

    def _take_now(self) -> None:
        self._take(labels.HARNESS if self._tracing is None else self._tracing.client.label)

    def _take(self, label: int) -> None:
        """Count what all sandboxes have done since they were asked last for a label."""
        for sandbox in self.sandboxes.live():
            try:
                told = sandbox.delta()
            except SandboxError as error:  # its descriptors are closed
                told = Told({}, (), (), (str(error),))
                self.sandboxes.forget(sandbox)
            if not told.is_empty:
                self._count(label, sandbox, told)

    def _count(self, label: int, sandbox: Sandbox, told: Told) -> None:
        about = sandbox.about
        assert isinstance(about, About)
        found = [
            replace(
                denial,
                expected=any(expectation.is_met_by(denial) for expectation in about.expected),
                notes=(words.note_of_sandbox(about.policy),),
            )
            for denial in (*told.denied, *told.logged)
        ]
        self._denied += found
        if about.policy is not None:
            self._reasons += [reason for reason in told.reasons if reason not in self._reasons]
        if self._tracing is not None:
            self._tracing.client.count_sandbox(
                label,
                sandbox.argv,
                about.policy,
                told.counts or {},
                [_in_trace(denial) for denial in found if denial.action != "log"],
                complete=told.complete,
            )


def _in_trace(denial: Denial) -> dict[str, object]:
    """Whose it is says the line around it."""
    others = ("nodeid", "phase", "rerun", "source", "expected", "notes")
    return {name: value for name, value in denial.members.items() if name not in others}


def _fail(report: pytest.TestReport, reason: str) -> None:
    if report.outcome != "failed":
        report.outcome = "failed"
        report.longrepr = reason
