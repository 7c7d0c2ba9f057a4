"""The hooks of a process that runs tests: they ask the recorder for calls outside the profile, and change reports."""

import os
from collections.abc import Generator, Sequence
from json import loads
from typing import TYPE_CHECKING

import pytest

from pytest_seccomp.errors import RecorderError
from pytest_seccomp.gate.allowed import Allowed
from pytest_seccomp.gate.findings import Finding
from pytest_seccomp.gate.findings import report as words
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.syscalls import identify
from pytest_seccomp.plugin.profiles.options import ProfileOptions
from pytest_seccomp.plugin.reporting import say
from pytest_seccomp.plugin.tracing import Tracing
from pytest_seccomp.recorder import labels
from pytest_seccomp.trace.counts import PHASES
from pytest_seccomp.trace.table import printable

if TYPE_CHECKING:
    from pytest_seccomp.recorder.outside import Found

SECTION = "seccomp profile"
"""Name of the section in a report that failed anyway."""

REPORTED = "seccomp_outside"
"""Attribute of a report: the members of its findings."""

COLLECTED = "seccomp-profile"
"""Where the output of an xdist worker has the members of its findings while collecting."""


def start_judging(
    config: pytest.Config, options: ProfileOptions, allowed: Allowed | None, tracing: Tracing
) -> "Judging | None":
    """Have tests of this process fail for calls that are not allowed; None where these are to be added."""
    if allowed is None or options.updates:
        return None
    judging = Judging(tracing, allowed, printable(options.shown), collection=options.collection)
    config.pluginmanager.register(judging, "seccomp-profile")
    return judging


class Judging:
    """Judges what each phase of a test has called, in the outermost wrapper of what makes its report, and so over what
    all others say of it."""

    def __init__(self, tracing: Tracing, allowed: Allowed, shown: str, *, collection: bool) -> None:
        """`shown` is the file as the user knows it; `collection`: what collecting calls is judged as well."""
        self._tracing = tracing
        self._allowed = allowed
        self._shown = shown
        self._collection = collection
        self._rerun = 0
        self.collected: list[Finding] = []
        """What was called outside the profile while collecting."""
        tracing.at_begin.append(self._begin)
        # The recorder is to remember who makes other calls than these
        tracing.client.send("allowed", frozenset(allowed.keys(native().name)))
        tracing.client.ring()

    @pytest.hookimpl(tryfirst=True)  # before the recorder is told that the collection is over, and writes it
    def pytest_collection_finish(self) -> None:
        if self._collection:
            self.collected += self._ask([labels.COLLECTION])

    @pytest.hookimpl(tryfirst=True)  # before xdist sends it
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[COLLECTED] = [finding.members for finding in self.collected]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        base = self._tracing.base
        findings = self._ask(range(base, base + len(labels.PHASES)), item.nodeid)
        report = yield
        if findings:
            setattr(report, REPORTED, [finding.members for finding in findings])  # for other plugins, and a controller
            say(report, SECTION, words(findings, self._allowed, self._shown), fails=True)
        return report

    def _begin(self, rerun: int) -> None:
        self._rerun = rerun

    def _ask(self, asked: Sequence[int], nodeid: str | None = None) -> list[Finding]:
        client = self._tracing.client
        if client.is_silent or not client.alive:
            return []  # nobody speaks for this process, or nothing is recorded any more: the session fails for that
        try:
            (found,) = client.request("outside", tuple(asked))
        except RecorderError:
            return []
        findings = (self._finding(one, nodeid) for one in found)  # type: ignore[attr-defined]
        outside = [one for one in findings if not self._allowed.allows(one.arch, one.syscall, one.name)]
        return sorted(outside, key=lambda one: (PHASES.index(one.phase) if nodeid is not None else 0, one.call))

    def _finding(self, found: "Found", nodeid: str | None) -> Finding:
        label, key, count, whose = found
        number = key & 0xFFFFFFFF
        call = identify(key >> 32, number - 2**32 if number >> 31 else number)
        pid, comm, exe = (None, None, None) if whose is None else whose
        if pid == 0 and comm is not None:  # a program in a sandbox, by its arguments
            pid, comm = None, os.fsencode(os.path.basename(loads(comm)[0]))
        return Finding(
            nodeid=nodeid,
            phase="collection" if nodeid is None else PHASES[label % len(PHASES)],
            rerun=self._rerun,
            syscall=call.number,
            name=call.name,
            arch=call.arch,
            count=count,
            pid=pid,
            comm=None if comm is None else comm.decode("utf-8", "surrogateescape"),
            exe=None if exe is None else exe.decode("utf-8", "surrogateescape"),
        )
