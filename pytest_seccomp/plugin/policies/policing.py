"""The hooks that put tests under their policies, and say in their reports what was denied."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import pytest

from pytest_seccomp.errors import RecorderError, SeccompError
from pytest_seccomp.gate import words
from pytest_seccomp.gate.verdict import Verdict, asks_for_missing
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.plugin.denials.judging import Judging
from pytest_seccomp.plugin.denials.watching import apply
from pytest_seccomp.plugin.policies.denied import denied_by, told
from pytest_seccomp.plugin.policies.marked import Marked, Markers
from pytest_seccomp.plugin.policies.rules import Rules
from pytest_seccomp.plugin.tracing import Tracing
from pytest_seccomp.profile import compiling
from pytest_seccomp.profile.in_process import MARKER, InProcess, calls
from pytest_seccomp.recorder import labels
from pytest_seccomp.trace.denials import Denial

__tracebackhide__ = True
"""Of pytest: in its reports of failures that pass through the wrappers in here they are not to be seen."""

NAME = "seccomp-policies"

LOGGED = "seccomp log"
"""Name of the section in a report with the calls that a policy's action `log` has let pass."""

_LABELS = {"setup": labels.SETUP, "call": labels.CALL, "teardown": labels.TEARDOWN}

_TOO_LATE = (
    "{}: this was added after the tests had been collected, when it was settled of which calls the kernel asks: add it "
    "in pytest_collection_modifyitems or earlier, or run with --seccomp-trace and the backend notify"
)


@dataclass(slots=True)
class _Run:
    """The run of a test that goes on, or was the last one."""

    number: int = 0
    """0 for the first run of the test."""
    marked: Sequence[Marked] = ()
    error: str | None = None
    """What is wrong with its markers, or why its policies cannot be enforced."""
    judging: Judging | None = None
    """None where it is under no policy."""
    put: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """By label, without the base: the numbers of the policies under which it was put."""
    goes_on: bool = False
    """Whether its call goes on: a report is then one of a part of it (subtests)."""


class Policing:
    """Puts tests under their policies.

    `tracing` has the recorder that decides; None where there is none, for `reason`. `asked` are the policies for whose
    calls the kernel asks that recorder; None where it asks for all calls.
    """

    def __init__(
        self,
        config: pytest.Config,
        rules: Rules,
        markers: Markers,
        tracing: Tracing | None,
        asked: frozenset[InProcess] | None = None,
        reason: str = "",
    ) -> None:
        self._config = config
        self._rules = rules
        self._markers = markers
        self._tracing = tracing
        self._asked = asked
        self._reason = reason
        self._machine = native()
        self._item: pytest.Item | None = None
        self._run = _Run()
        self._numbers: dict[InProcess, int] = {}
        self._told: list[Denial] = []
        if tracing is not None:
            tracing.at_begin.append(self._begin)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._item, self._run = item, _Run()
        result = yield
        tracing = self._tracing
        if self._run.put and tracing is not None and tracing.client.is_hidden and not item.session.shouldstop:
            reason = f"{tracing.client.end}, and its policy may be in force for all that follow"
            item.session.shouldstop = f"pytest-seccomp: after {item.nodeid}: {reason}"
        return result

    @pytest.hookimpl(wrapper=True, trylast=True)  # what raises must be inside of the other plugins' part
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        if self._tracing is None:
            self._begin(0)
        self._fail_if_wrong()
        return (yield)

    @pytest.hookimpl(wrapper=True)  # outside of the markers around the call
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        self._look_again()
        self._fail_if_wrong()
        self._run.goes_on = True
        try:
            return (yield)
        finally:
            self._run.goes_on = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: "pytest.CallInfo[None]"
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        run = self._run
        if run.judging is None or item is not self._item:
            return (yield)
        denials, end = self._take(item, call.when)
        denials, self._told = [*denials, *self._told], []
        logged = [denial for denial in denials if denial.action == "log"]
        denied = [denial for denial in denials if denial.action != "log"]
        watching = self._rules.watching
        if watching is not None:
            watching.tell(denied)
        report = yield
        if watching is None:
            denied = [run.judging.judge(denial, item) for denial in denied]
            asks = not run.goes_on and asks_for_missing(call.when, report.outcome)
            missing = run.judging.missing_of(denied_by(run.marked)) if asks else []
            apply(Verdict(item.nodeid, call.when, run.number, self._rules.mode, denied, missing), report)
        if logged:
            report.sections.append((LOGGED, words.listing(item.nodeid, call.when, run.number, logged)))
        if end is not None and report.outcome != "failed":
            report.outcome = "failed"
            report.longrepr = f"the policy of this test was not enforced to its end: {end}"
        return report

    @property
    def is_in_force(self) -> bool:
        """Whether the test that runs, or has run last, is under a policy."""
        return self._run.judging is not None

    @property
    def now(self) -> tuple[InProcess, ...]:
        """The policies under which the test is at this moment."""
        run, tracing = self._run, self._tracing
        if tracing is None:
            return ()
        numbers = run.put.get(tracing.client.label - tracing.base, ())
        return tuple(marked.policy for marked in run.marked if self._numbers.get(marked.policy) in numbers)

    def tell(self, denials: list[Denial], item: pytest.Item) -> bool:
        """Of the phase of a test that has just ended, denials by other policies than the test's; returns whether they
        are judged here."""
        judged = self._run.judging is not None and item is self._item
        if judged:
            self._told += denials
        return judged

    def _begin(self, number: int) -> None:
        """A run of the test begins, before its setup."""
        assert self._item is not None
        self._run = _Run(number)
        self._read(self._item)
        self._put()

    def _look_again(self) -> None:
        """A fixture may have added a marker to the test."""
        if self._item is None or MARKER not in self._item.keywords:
            return
        before = self._run.marked, self._run.error
        self._read(self._item)
        if before != (self._run.marked, self._run.error):
            if self._tracing is not None:
                self._tracing.take_up()
            self._put()
            if self._tracing is not None:
                self._tracing.client.ring()

    def _read(self, item: pytest.Item) -> None:
        run = self._run
        if MARKER not in item.keywords:
            return
        try:
            run.marked = self._markers.of(item)
        except SeccompError as error:
            run.error = str(error)
            return
        if run.marked and run.judging is None:
            run.judging = Judging(self._config, self._rules.expected, item)
            run.error = run.judging.error
        if run.marked and self._tracing is None:
            run.error = f"{run.marked[0]}: policies cannot be enforced here: {self._reason}"
        for marked in run.marked:
            if self._asked is not None and marked.policy not in self._asked:
                run.error = _TOO_LATE.format(marked)

    def _put(self) -> None:
        """Put the labels of the test under its policies, from their next markers on."""
        run, tracing = self._run, self._tracing
        if tracing is None or run.error is not None:
            return
        for phase, label in _LABELS.items():
            policies = [marked.policy for marked in run.marked if phase == "call" or marked.policy.fixtures]
            numbers = tuple(self._number(tracing, policy) for policy in policies)
            if numbers and run.put.get(label) != numbers:
                tracing.client.send("under", tracing.base + label, numbers)
                run.put[label] = numbers

    def _number(self, tracing: Tracing, policy: InProcess) -> int:
        """That by which the recorder knows a policy."""
        number = self._numbers.get(policy)
        if number is None:
            number = self._numbers[policy] = len(self._numbers)
            made = policy.policy(self._machine)
            tracing.client.send("policy", number, compiling.program(made), tuple(calls(made)))
        return number

    def _fail_if_wrong(self) -> None:
        if self._run.error is not None:
            pytest.fail(self._run.error, pytrace=False)

    def _take(self, item: pytest.Item, phase: str) -> tuple[list[Denial], str | None]:
        """What was denied in a phase, or logged, and why more may have been let pass."""
        tracing, label = self._tracing, _LABELS[phase]
        if tracing is None or label not in self._run.put or tracing.client.is_silent:
            return [], None
        try:
            found, left_out = tracing.client.request("denials", tracing.base + label)
        except RecorderError as error:
            return [], str(error)
        by_number = {self._numbers[marked.policy]: marked for marked in reversed(self._run.marked)}
        whose = {"nodeid": item.nodeid, "phase": phase, "rerun": self._run.number}
        return told(found, left_out, by_number, whose), None  # type: ignore[arg-type]
