"""The session that judges: it has what all processes of the run have called, and says what comes of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.gate.additions import Additions
from pytest_seccomp.gate.allowed import Allowed
from pytest_seccomp.gate.findings import Finding
from pytest_seccomp.gate.updating import Target
from pytest_seccomp.plugin.profiles import summary
from pytest_seccomp.plugin.profiles.judging import COLLECTED, REPORTED, start_judging
from pytest_seccomp.plugin.profiles.options import ProfileOptions
from pytest_seccomp.plugin.tracing import Tracing
from pytest_seccomp.trace.counts import PHASES, Call
from pytest_seccomp.trace.records import Line, Record
from pytest_seccomp.trace.totals import Totals

GOOD = frozenset({"passed", "skipped", "xfailed", "xpassed"})
"""Outcomes of runs of a test whose calls are added to the file: what a test did that has failed may be the mistake."""


@dataclass(slots=True)
class Makers:
    """The tests that made a call outside the profile."""

    first: Finding
    """Of the first run of a test that made it, with its process where a report has said it."""
    runs: int = 0
    """How many runs of a test made it."""


@dataclass(slots=True)
class Judged:
    """What a session comes to."""

    outside: list[Record] = field(default_factory=list)
    """What was called outside the profile, before it was updated."""
    makers: dict[tuple[str, int], Makers] = field(default_factory=dict)
    """By architecture and number."""
    unused: list[str] = field(default_factory=list)
    """What the file has and nobody has called."""
    reasons: list[str] = field(default_factory=list)
    """Why calls may be missing. What nobody has seen passes no gate."""
    error: str | None = None
    """Why it could not be judged, or not be updated."""
    added: Additions | None = None
    """What was added to the file; None where it is not updated."""
    by_failed: list[Record] = field(default_factory=list)
    """What only tests called that have failed, and is not added."""

    @property
    def fails(self) -> bool:
        """Whether the session fails for it."""
        if self.error is not None or self.reasons:
            return True
        return bool(self.outside) if self.added is None else bool(self.added.refused)


class ProfileOwner:
    """Judges the whole session, by the lines of the trace alone: what a report has failed for is in them, and so is
    what no report has, of a run that was repeated or has crashed."""

    def __init__(self, options: ProfileOptions, allowed: Allowed | None) -> None:
        """`allowed` is None where the file is to be made."""
        self.options = options
        self.allowed = allowed
        self.judged: Judged | None = None
        """None before the end, and where nothing was to be judged."""
        self.collected: list[Finding] = []
        self._made = Totals()
        self._good = Totals()
        self._makers: dict[tuple[str, int], Makers] = {}
        self._reported: dict[tuple[str, int], Finding] = {}
        self._is_outside: dict[int, tuple[Call, bool]] = {}

    @classmethod
    def start(cls, config: pytest.Config, options: ProfileOptions) -> "ProfileOwner":
        """Read the file, before anything runs. Raises SeccompError."""
        owner = cls(options, options.check(config))
        config.pluginmanager.register(owner, "seccomp-profile-owner")
        return owner

    def judge_here(self, config: pytest.Config, tracing: Tracing) -> None:
        """This process runs the tests."""
        judging = start_judging(config, self.options, self.allowed, tracing)
        if judging is not None:
            self.collected = judging.collected

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for members in getattr(report, REPORTED, ()):
            finding = Finding.from_members(members)
            self._reported.setdefault((finding.arch, finding.syscall), finding)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        output = getattr(node, "workeroutput", {})
        self.collected += [Finding.from_members(members) for members in output.get(COLLECTED, ())]

    def visit(self, line: Line) -> None:
        """A line of the run's trace."""
        kind = line.head.kind
        if kind == "harness" or (kind == "collect" and not self.options.collection):
            return
        self._made.add_line(line)
        if self.options.updates and (kind == "collect" or line.head.outcome in GOOD):
            self._good.add_line(line)
        for call, counts in line.calls:
            if self._has_outside(call):
                makers = self._makers.get(call.key)
                if makers is None:
                    phases = (name for name, count in zip(PHASES, counts.by_phase, strict=True) if count)
                    first = self._first(line, call, next(phases, "collection"), counts.count)
                    makers = self._makers[call.key] = Makers(first)
                makers.runs += kind == "test"

    def end(self, *, complete: bool, reasons: Sequence[str], cut_short: str | None) -> bool:
        """All lines have been seen; `reasons` for calls to be missing. Returns whether the session fails for it."""
        judged = self.judged = Judged(makers=self._makers)
        if not complete:
            judged.reasons = [*reasons] or ["lines of the trace say so, without a reason"]
        records = sorted(self._made.records(), key=lambda record: (record.name or "", record.arch, record.syscall))
        judged.outside = records if self.allowed is None else self.allowed.outside(records)
        self._add_reported(judged)
        judged.unused = [] if self.allowed is None else self.allowed.unused(records)
        if self.options.updates:
            judged.added = Additions()
            if cut_short is not None:
                left = "not made" if self.allowed is None else "left as it was"
                judged.error = f"{cut_short}: {self.options.shown} is {left}"
                judged.reasons = [reason for reason in judged.reasons if reason != cut_short]
            elif not judged.reasons:
                self._update(judged)
        return judged.fails

    def _add_reported(self, judged: Judged) -> None:
        """What tests have failed for and the lines, where some are lost, do not have."""
        known = {(record.arch, record.syscall) for record in judged.outside}
        for key, finding in self._reported.items():
            if key not in known:
                judged.outside.append(finding.record)
                judged.makers.setdefault(key, Makers(finding, runs=1))

    def cannot(self, error: str) -> bool:
        """The lines cannot be seen. The session fails for it."""
        self.judged = Judged(error=error)
        return True

    def _update(self, judged: Judged) -> None:
        good = self._good.records()
        known = {(record.arch, record.syscall) for record in good}
        judged.by_failed = [one for one in judged.outside if (one.arch, one.syscall) not in known]
        outside = {(record.arch, record.syscall) for record in judged.outside}
        try:
            judged.added = Target.check(self.options.path).update(
                record for record in good if (record.arch, record.syscall) in outside
            )
        except SeccompError as error:
            judged.error = str(error)

    def _has_outside(self, call: Call) -> bool:
        """Once for each object; kept with the answer, or another one may have its id."""
        found = self._is_outside.get(id(call))
        if found is None:
            outside = self.allowed is None or not self.allowed.allows(call.arch, call.number, call.name)
            found = self._is_outside[id(call)] = call, outside
        return found[1]

    def _first(self, line: Line, call: Call, phase: str, count: int) -> Finding:
        reported = self._reported.get(call.key)
        if reported is not None:
            return reported
        nodeid = line.nodeid if line.head.kind == "test" else None
        for finding in self.collected if nodeid is None else ():
            if (finding.arch, finding.syscall) == call.key:
                return finding
        return Finding(nodeid, phase, line.head.rerun, call.number, call.name, call.arch, count, None, None, None)

    def header(self) -> list[str]:
        """Its lines in pytest's header."""
        return summary.header(self.options, self.allowed)

    def in_short(self) -> list[str]:
        """What must be said where there is no terminal."""
        return [] if self.judged is None else summary.in_short(self.judged, self.options)

    def tell(self, terminal: "pytest.TerminalReporter") -> None:
        """The section of the summary."""
        if self.judged is not None:
            summary.section(terminal, self.judged, self.options, self.allowed)
