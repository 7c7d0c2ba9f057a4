"""The hooks of a process that runs tests: they say in which phase what was denied, and what that does."""

import contextlib
import os
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from json import dumps

import pytest

from pytest_seccomp.errors import RecorderError
from pytest_seccomp.gate import words
from pytest_seccomp.gate.verdict import Verdict, asks_for_missing
from pytest_seccomp.plugin.denials.judging import Judging
from pytest_seccomp.plugin.denials.options import DenialOptions
from pytest_seccomp.plugin.reporting import say
from pytest_seccomp.recorder.watch import Denied, Seen, Watch
from pytest_seccomp.trace.denials import COLLECTION, LATE, Denial
from pytest_seccomp.trace.table import printable

__tracebackhide__ = True
"""Of pytest: in its reports of failures that pass through the wrappers in here they are not to be seen."""

_KILLS = ("kill_process", "kill_thread")

SECTION = "seccomp denials"
"""Name of the section in a report that failed anyway, or that does not fail for it."""


@dataclass(slots=True)
class _Run:
    """The run of a test that is going on, or was the last one."""

    judging: Judging
    nodeid: str | None = None
    """None before the first test."""
    number: int = 0
    """0 for the first run of the test."""
    reported: bool = False
    """Whether there is a report of one of its phases."""


class Watching:
    """Asks the watcher of the kernel's log at the end of each phase, judges, and changes reports.

    It asks when a phase is over, in the outermost wrapper of what makes its report, and so judges what all others say.
    """

    def __init__(self, config: pytest.Config, options: DenialOptions, watch: Watch, worker: str | None) -> None:
        self._config = config
        self._options = options
        self._watch = watch
        self._worker = worker
        self._run = _Run(Judging(config, options.expected))
        self._phase: str | None = None
        self.denials: list[Denial] = []
        """Of the whole session, judged."""
        self.reasons: list[str] = []
        """Why denials may be missing."""
        self._told: list[Denial] = []
        self._logged: Counter[tuple[object, ...]] = Counter()
        """What a supervisor of ours has told and the kernel's log may still tell, too."""
        watch.phase("null", COLLECTION, 0)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.settle()
        self._begin(item, number=0)
        return (yield)

    @pytest.hookimpl(wrapper=True, trylast=True)  # what raises must be inside of the other plugins' part
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        if self._run.reported:  # of an earlier run: a plugin runs the test again
            self.settle()
            self._begin(item, self._run.number + 1)
        # pytest-rerunfailures counts on where another worker has crashed
        self._run.number = max(self._run.number, getattr(item, "execution_count", 1) - 1)
        with self._in_phase("setup"):
            if self._run.judging.error is not None:
                pytest.fail(self._run.judging.error, pytrace=False)
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        with self._in_phase("call"):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self) -> Generator[None, object, object]:
        with self._in_phase("teardown"):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: "pytest.CallInfo[None]"
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        told, self._told = self._told, []
        denials = self._judge(self._watch.sync(), call.when, item) + self._keep(told, item)
        self._tell_phase()  # of a part of a test (subtests) it is not over, as the watcher takes it to be
        report = yield
        asks = self._phase is None and asks_for_missing(call.when, report.outcome)
        missing = self._run.judging.missing if asks else ()
        self._run.reported = self._phase is None
        apply(Verdict(item.nodeid, call.when, self._run.number, self._options.mode, denials, missing), report)
        return report

    def tell(self, denials: list[Denial]) -> None:
        """Of the phase that has just ended, denials by a policy of ours. Of these the kernel's log has at most those
        that kill."""
        self._told += denials
        self._is_logged(denials)

    def tell_late(self, denials: list[Denial]) -> None:
        """Of what has come since the last report, denials by a policy of ours."""
        self._is_logged(denials)
        run, phase = self._run, self._between_tests
        self._keep([replace(denial, nodeid=run.nodeid, phase=phase, rerun=run.number) for denial in denials], None)

    def settle(self) -> None:
        """What was denied after the last report, or before the first test, has no report that it could fail."""
        self._judge(self._watch.sync(), self._between_tests, None)

    def finish(self) -> None:
        """The end of the session: all that has been denied is in the spool then."""
        self._judge(self._watch.finish(), self._between_tests, None)
        self._watch.close_spool(self.reasons)

    @property
    def notes(self) -> list[str]:
        """What a user should know of how it is watched."""
        return self._watch.notes

    def merged(self) -> None:
        """What is in the spool has gone elsewhere: nobody has to see to it if this process is killed."""
        self._watch.merged()

    def watch(self, pid: int, cgroup: str | os.PathLike[str] | None = None) -> contextlib.ExitStack:
        """Watch a process that pytest did not start, until what is returned is closed or left: the fixture
        seccomp_watch. Raises RecorderError where there is no such process or cgroup."""
        __tracebackhide__ = True
        call = f"seccomp_watch({pid!r}{'' if cgroup is None else f', cgroup={cgroup!r}'})"
        if not isinstance(pid, int):
            raise TypeError(f"{call}: a pid is a number")
        try:
            self._watch.add(pid, None if cgroup is None else os.fspath(cgroup))
        except RecorderError as error:
            raise RecorderError(f"{call}: {error}") from None
        target = contextlib.ExitStack()
        target.callback(self._stop_watching, pid)
        return target

    def _stop_watching(self, pid: int) -> None:
        try:
            self._watch.remove(pid)
        except RecorderError:
            pass  # the watcher has died, for which the session fails, and not the test

    def _begin(self, item: pytest.Item, number: int) -> None:
        self._run = _Run(Judging(self._config, self._options.expected, item), item.nodeid, number)

    @contextlib.contextmanager
    def _in_phase(self, phase: str) -> Iterator[None]:
        self._phase = phase
        self._tell_phase()
        try:
            yield
        finally:
            self._phase = None

    def _tell_phase(self) -> None:
        if self._phase is not None:
            self._watch.phase(dumps(self._run.nodeid), self._phase, self._run.number)

    @property
    def _between_tests(self) -> str:
        return COLLECTION if self._run.nodeid is None else LATE

    def _judge(self, seen: Seen, phase: str, item: pytest.Item | None) -> list[Denial]:
        """What has been seen, judged and written to the spool."""
        if not seen.complete:
            self.reasons += [reason for reason in seen.reasons if reason not in self.reasons]
        return self._keep([*self._not_told([self._denial(one, phase) for one in seen.denials])], item)

    def _is_logged(self, denials: list[Denial]) -> None:
        """The kernel logs what it kills by, as it does for every filter: these it tells a second time."""
        self._logged.update({_kind(denial): denial.count for denial in denials if denial.action in _KILLS})

    def _not_told(self, denials: list[Denial]) -> Iterator[Denial]:
        """Denials of the kernel's log, without those that a supervisor of ours has told, and with more of them."""
        for denial in denials:
            told = min(self._logged[_kind(denial)], denial.count)
            self._logged[_kind(denial)] -= told
            if told < denial.count:
                yield replace(denial, count=denial.count - told)

    def _keep(self, found: list[Denial], item: pytest.Item | None) -> list[Denial]:
        """Denials, judged and written to the spool."""
        denials = [self._run.judging.judge(denial, item) for denial in found]
        if denials:
            self._watch.write("".join(denial.format_spooled(self._worker) for denial in denials))
            self.denials += denials
        return denials

    def _denial(self, one: Denied, phase: str) -> Denial:
        return Denial.seen(
            one.audit_arch,
            one.syscall,
            nodeid=self._run.nodeid,
            phase=phase,
            rerun=self._run.number,
            count=one.count,
            action=one.action,
            errno=None,
            pid=one.pid,
            comm=one.comm,
            exe=one.exe,
            args=None,
            source=self._watch.source,
            expected=False,
        )


def _kind(denial: Denial) -> tuple[object, ...]:
    """By what the two know one. Their pids may be of different namespaces."""
    return denial.arch, denial.syscall, denial.action, denial.comm


def apply(verdict: Verdict, report: pytest.TestReport) -> None:
    """Say in a report what the verdict says."""
    if verdict.denials:
        # For other plugins, and the controller; what is not UTF-8 would not get there
        report.seccomp_denials = [_plain(denial) for denial in verdict.denials]  # type: ignore[attr-defined]
    if verdict.is_worth_telling:
        say(report, SECTION, words.report(verdict), fails=verdict.fails)


def _plain(denial: Denial) -> dict[str, object]:
    members = denial.members
    found = {name: printable(value) if isinstance(value, str) else value for name, value in members.items()}
    if denial.paths:
        found["paths"] = {index: printable(path) for index, path in members["paths"].items()}
    return found
