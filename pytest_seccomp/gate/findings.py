"""Calls outside of what is allowed, as one phase of a test made them, and the words for them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pytest_seccomp.gate.additions import additions
from pytest_seccomp.gate.allowed import Allowed
from pytest_seccomp.trace.records import Record
from pytest_seccomp.trace.table import printable

_MOST_NAMED = 3
_NOT_KNOWN = "a process that is not known"

UPDATE = "--seccomp-update-profile"


@dataclass(slots=True, frozen=True)
class Finding:
    """A call that is not allowed, in a phase of a run of a test, or while collecting."""

    nodeid: str | None
    """None for what was made while collecting."""
    phase: str
    """One of trace.counts.PHASES, or "collection"."""
    rerun: int
    syscall: int
    name: str | None
    arch: str
    count: int
    pid: int | None
    """The process that made the first of them; None where it is not known."""
    comm: str | None
    """The name of its thread; without a pid that of the program in a sandbox that made it."""
    exe: str | None
    """The path of its executable; None where that is not known."""

    @property
    def call(self) -> str:
        """The call as a user would name it, or its number with the architecture where it has no name."""
        return self.name or f"{self.arch}:{self.syscall}"

    @property
    def process(self) -> str:
        """Whose it is, in words: `curl[4711]`, `curl in a sandbox`."""
        if self.pid is None:
            return _NOT_KNOWN if self.comm is None else f"{printable(self.comm)} in a sandbox"
        return f"{printable(self.comm or '?')}[{self.pid}]"

    @property
    def record(self) -> Record:
        """As a trace has it."""
        collected = self.count if self.nodeid is None else 0
        return Record(self.syscall, self.name, self.count, self.arch, int(self.nodeid is not None), collected)

    @property
    def members(self) -> dict[str, Any]:
        """As a report takes it to other plugins and to a controller: plain values, and what is not UTF-8 escaped."""
        return {name: printable(value) if isinstance(value, str) else value for name, value in asdict(self).items()}

    @classmethod
    def from_members(cls, members: Mapping[str, Any]) -> "Finding":
        """From `members`."""
        return cls(**members)

    def place(self) -> str:
        """Where it was made, as in the comment behind a line to add: `tests/test_x.py::test_y, call, curl[4711]`."""
        where = "collection" if self.nodeid is None else f"{printable(self.nodeid)}, {self.phase}"
        rerun = f", rerun {self.rerun}" if self.rerun else ""
        return f"{where}{rerun}, {self.process}"


def report(findings: Sequence[Finding], allowed: Allowed, shown: str) -> str:
    """What the user needs next, in the report of a phase; its first line says all in short. `shown` is the file as the
    user knows it."""
    return "\n".join(_report(findings, allowed, shown))


def _report(findings: Sequence[Finding], allowed: Allowed, shown: str) -> Iterator[str]:
    yield headline(findings, shown)
    yield ""
    for phase in dict.fromkeys(finding.phase for finding in findings):
        yield f"In {_phase_of(phase, findings[0])}:"
        for finding in findings:
            if finding.phase == phase:
                yield f"    {_line(finding)}"
    if additions(allowed, (finding.record for finding in findings)):
        yield f"If that is right, add to {shown}, or run with {UPDATE}:"
    else:
        yield f"{UPDATE} would not help:"
    for finding in findings:
        for line in to_add(finding, allowed):
            yield f"    {line}"


def headline(findings: Sequence[Finding], shown: str) -> str:
    """Findings in one line: `system calls that profile.json does not allow: connect by curl`."""
    texts = list(dict.fromkeys(f"{one.call}{f' by {printable(one.comm)}' if one.comm else ''}" for one in findings))
    more = len(texts) - _MOST_NAMED
    named = f"{', '.join(texts[:_MOST_NAMED])}{f' and {more:,} more' if more > 0 else ''}"
    return f"system call{'s' if len(texts) > 1 else ''} that {shown} does not allow: {named}"


def _phase_of(phase: str, finding: Finding) -> str:
    rerun = f" (rerun {finding.rerun})" if finding.rerun else ""
    test = f"{printable(finding.nodeid or '')}{rerun}"
    return f"fixtures of wider scope, during {test}" if phase == "shared" else f"the {phase} of {test}"


def _line(finding: Finding) -> str:
    times = f", {finding.count:,} times" if finding.count > 1 else ""
    first = "the first by " if finding.count > 1 and finding.pid is not None else "by "
    exe = f", {printable(finding.exe)}" if finding.exe else ""
    return f"{finding.call}{times}: {first}{finding.process}{exe}"


def to_add(finding: Finding, allowed: Allowed) -> Iterator[str]:
    """The lines to add to the file, each with where that comes from, or why there is none."""
    found = additions(allowed, [finding.record])
    for text in found.texts:
        yield f"+ {text}  # {finding.place()}"
    for _, reason in found.refused:
        yield f"{finding.call} ({finding.place()}) cannot be added: {reason}"


def shortened(names: Sequence[str], most: int | None) -> Iterator[str]:
    """Names in lines of no more than 100 characters; after `most` of them the rest is only counted."""
    shown = list(names if most is None else names[:most])
    line = ""
    for position, name in enumerate(shown):
        text = printable(name) + ("," if position < len(shown) - 1 else "")
        if line and len(line) + len(text) + 1 > 100:
            yield line
            line = ""
        line = f"{line} {text}".strip()
    more = len(names) - len(shown)
    yield f"{line} and {more:,} more, which -v shows" if more else line
