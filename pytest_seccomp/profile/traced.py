"""A policy from a trace of ours: what was called is allowed."""

from collections import Counter
from pathlib import Path

from pytest_seccomp.errors import TraceError
from pytest_seccomp.linux.architecture import Architecture
from pytest_seccomp.profile.actions import ALLOW, Action
from pytest_seccomp.profile.architectures import COMPANIONS
from pytest_seccomp.profile.policy import Policy, Rule
from pytest_seccomp.trace.reading import LineParser
from pytest_seccomp.trace.sources import find
from pytest_seccomp.trace.totals import Totals
from pytest_seccomp.trace.wanted import Wanted


def from_trace(path: Path, machine: Architecture, action: Action, *, allow_incomplete: bool = False) -> Policy:
    """Allow each call of a trace, found by one of its files, on the architecture on which it was made, and give
    `action` to all others. A warning names the calls of architectures that this machine does not run.

    TraceError where it cannot be read, where it is incomplete and that is not allowed, and where it has no call of this
    machine.
    """
    totals = Totals()
    for _ in find(path).items(LineParser(), totals):
        pass  # adds the line to the totals
    if not totals.complete and not allow_incomplete:
        reasons = "; ".join(totals.reasons) or "lines of it say so"
        raise TraceError(
            f"{path} is incomplete ({reasons}), so that a policy from it would deny what was called: record it anew, "
            "or allow incomplete traces"
        )
    architectures = COMPANIONS[machine.name]
    rules: list[Rule] = []
    elsewhere: Counter[str] = Counter()
    for record in totals.records():
        if record.arch in architectures:
            call = Wanted(f"{record.arch}:{record.syscall}", record.arch, None, record.syscall)
            rules.append(Rule(call, ALLOW))
        else:
            elsewhere[record.arch] += 1
    others = ", ".join(f"{count} of {arch}" for arch, count in sorted(elsewhere.items()))
    if not rules:
        raise TraceError(f"{path} has no call of {machine.name}, but {others}: record one on such a machine")
    warnings = [f"{path}: calls of architectures that this machine does not run are left out: {others}"]
    return Policy(action, rules, architectures, foreign=action, warnings=warnings if elsewhere else [])
