"""Which calls a file allows, a profile of container runtimes or a trace of ours; which of those that were made are
outside it, and which of its own nobody made.

A trace has no arguments. So a call that a profile allows under conditions on its arguments is allowed here as a whole.

A profile whose default only logs is one that is being tried out: what it logs is what it does not have yet. So it is
judged by what it names. One whose default allows names what it denies, and is judged by that.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from os import uname
from pathlib import Path
from typing import Any

from pytest_seccomp.errors import SeccompError, TraceError
from pytest_seccomp.linux import syscalls
from pytest_seccomp.linux.architecture import ARCHITECTURES, native
from pytest_seccomp.profile.actions import ALLOW
from pytest_seccomp.profile.architectures import COMPANIONS, machine_of
from pytest_seccomp.profile.document import read
from pytest_seccomp.profile.edited import is_base_set, names_of
from pytest_seccomp.profile.oci import from_profile
from pytest_seccomp.profile.policy import Policy
from pytest_seccomp.profile.selection import Host
from pytest_seccomp.trace.reading import LONGEST_LINE, LineParser, parse_object
from pytest_seccomp.trace.records import Record
from pytest_seccomp.trace.sources import find
from pytest_seccomp.trace.totals import Totals
from pytest_seccomp.trace.wanted import Wanted

CAPABILITIES = frozenset({
    "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
})  # fmt: skip
"""Those that docker gives a container of which nothing else was said (moby, oci/caps/defaults.go): what an entry with
`includes` or `excludes` is judged by."""

TRACE_SUFFIX = ".ndjson"
"""Of a file that is made as a trace."""

_ARCHITECTURES = {architecture.name: architecture for architecture in ARCHITECTURES}
_LETS_PASS = frozenset({"allow", "log"})


class Allowed:
    """The calls that a file allows."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    def read(path: Path) -> "Allowed":
        """From a profile or a trace, whichever it is. SeccompError where it cannot be read, is malformed, or is a trace
        that is incomplete, outside of which a call could be that nobody should miss."""
        return AllowedByTrace(path) if is_trace(path) else AllowedByProfile(path)

    @property
    def warnings(self) -> list[str]:
        """What the file says and is not done, or may be meant otherwise; each with the file."""
        return []

    def allows(self, arch: str, number: int, name: str | None) -> bool:
        """Whether a call is allowed, by whatever arguments."""
        raise NotImplementedError

    def denies_by_name(self, arch: str, name: str) -> bool:
        """Whether the file says itself that a call is not allowed, so that to allow it would contradict it."""
        raise NotImplementedError

    def own(self, machines: Iterable[str]) -> list[Wanted]:
        """The calls that the file names as allowed on some machines, in order."""
        raise NotImplementedError

    @property
    def around(self) -> frozenset[str]:
        """The names of calls that it has for base sets, which are made around the program: no test has to make them."""
        return frozenset()

    def keys(self, machine: str) -> Iterator[int]:
        """The calls with a name that are allowed on a machine, as AUDIT_ARCH_* << 32 | number."""
        for audit_arch in {syscalls.audit_arch_of(arch) for arch in COMPANIONS[machine]}:
            for name in syscalls.all_names(audit_arch):
                for number in syscalls.numbers_of(name, audit_arch):
                    if self.allows(*syscalls.identify(audit_arch, number)):
                        yield audit_arch << 32 | number

    def outside(self, records: Iterable[Record]) -> list[Record]:
        """Those of a trace's records that are not allowed."""
        return [record for record in records if not self.allows(record.arch, record.syscall, record.name)]

    def unused(self, records: Iterable[Record]) -> list[str]:
        """The calls that the file has and none of the records is, as the file names them; for the machines of which
        there are records."""
        made = list(records)
        around = self.around
        machines = sorted({machine_of(record.arch) for record in made})
        return [
            call.text
            for call in self.own(machines)
            if call.name not in around
            and not any(call.is_met_by(record.arch, record.syscall, record.name) for record in made)
        ]


class AllowedByTrace(Allowed):
    """What was called in a trace, in tests or while collecting, on the architecture on which it was called."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        totals = Totals()
        source = find(path)
        if source.tests is not None or not _is_empty_trace(path):
            for _ in source.items(LineParser(), totals):
                pass  # adds the line to the totals
        if not totals.complete:
            reasons = "; ".join(totals.reasons) or "lines of it say so"
            raise TraceError(f"{path} is incomplete ({reasons}): what it lacks would be taken for new: record it anew")
        self._records = totals.records()
        self._calls = {(record.arch, record.syscall) for record in self._records}

    def allows(self, arch: str, number: int, name: str | None) -> bool:
        return (arch, number) in self._calls

    def denies_by_name(self, arch: str, name: str) -> bool:
        return False

    def own(self, machines: Iterable[str]) -> list[Wanted]:
        wanted = frozenset(machines)
        return [
            Wanted(f"{record.arch}:{record.name or record.syscall}", record.arch, None, record.syscall)
            for record in self._records
            if machine_of(record.arch) in wanted
        ]


@dataclass(slots=True)
class _Verdicts:
    """What a policy says of the calls of a name: with and without conditions."""

    always: bool | None = None
    """Whether a rule without conditions lets it pass; None where there is none."""
    sometimes: bool = False
    """Whether one with conditions lets it pass."""
    denied: bool = False
    """Whether a rule denies it, with conditions or without, be it the default that it says again."""


@dataclass(slots=True)
class _Machine:
    """A profile for one kind of machine."""

    policy: Policy
    by_call: dict[tuple[str | None, str | None], _Verdicts] = field(default_factory=dict)
    """By architecture, where a rule is for one, and name."""

    def __post_init__(self) -> None:
        for rule in self.policy.rules:
            found = self.by_call.setdefault((rule.call.arch, rule.call.name), _Verdicts())
            passes = rule.action.name in _LETS_PASS
            if rule.conditions:
                found.sometimes = found.sometimes or passes
            else:
                found.always = passes and found.always is not False
        for rule in [*self.policy.rules, *self.policy.without_effect]:
            if rule.action.name not in _LETS_PASS:
                self.by_call.setdefault((rule.call.arch, rule.call.name), _Verdicts()).denied = True

    def verdicts(self, arch: str, name: str | None) -> list[_Verdicts]:
        """Those that are about a call."""
        found = (self.by_call.get(key) for key in ((None, name), (arch, name)) if name is not None)
        return [verdicts for verdicts in found if verdicts is not None]


class AllowedByProfile(Allowed):
    """What a profile of the OCI, or docker's, lets pass on machines of any architecture: with the kernel of this one,
    and CAPABILITIES."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._machines: dict[str, _Machine] = {}
        self._here = self._on(native().name)
        # Now: what runs at the end of a session may open no file any more (RLIMIT_NOFILE)
        document: dict[str, Any] = read(path).value
        self._document: dict[str, Any] = document["linux"]["seccomp"] if "ociVersion" in document else document

    @property
    def warnings(self) -> list[str]:
        policy = self._here.policy
        if policy.default.name != ALLOW.name:
            return policy.warnings
        return [f"{self.path}: defaultAction: it allows all calls that it does not name", *policy.warnings]

    def allows(self, arch: str, number: int, name: str | None) -> bool:
        machine = machine_of(arch)
        if machine not in COMPANIONS:
            return False  # of which we do not know what runs there
        on = self._on(machine)
        if arch not in on.policy.architectures:
            return on.policy.foreign.name in _LETS_PASS
        found = on.verdicts(arch, name)
        settled = [verdicts.always for verdicts in found if verdicts.always is not None]
        if settled:
            return all(settled)
        return on.policy.default.name == ALLOW.name or any(verdicts.sometimes for verdicts in found)

    def denies_by_name(self, arch: str, name: str) -> bool:
        machine = machine_of(arch)
        return machine in COMPANIONS and any(verdicts.denied for verdicts in self._on(machine).verdicts(arch, name))

    def has_architecture(self, arch: str) -> bool:
        """Whether what the profile allows is allowed on an architecture."""
        machine = machine_of(arch)
        return machine in COMPANIONS and arch in self._on(machine).policy.architectures

    @property
    def may_add_architectures(self) -> bool:
        """Whether they stand in a list, and not in docker's `archMap`, which says of each to which it belongs."""
        return not self._document.get("archMap")

    def own(self, machines: Iterable[str]) -> list[Wanted]:
        names: set[str] = set()
        for machine in machines:
            if machine in COMPANIONS:
                names.update(
                    name
                    for (arch, name), verdicts in self._on(machine).by_call.items()
                    if arch is None and name is not None and (verdicts.always or verdicts.sometimes)
                )
        return [Wanted(name, None, name, None) for name in sorted(names)]

    @property
    def around(self) -> frozenset[str]:
        entries = self._document.get("syscalls") or ()
        return frozenset(name for entry in entries if is_base_set(entry) for name in names_of(entry))

    def _on(self, machine: str) -> _Machine:
        if machine not in self._machines:
            host = Host(_ARCHITECTURES[machine], kernel_version(uname().release), CAPABILITIES)
            self._machines[machine] = _Machine(from_profile(self.path, host))
        return self._machines[machine]


def is_trace(path: Path) -> bool:
    """Whether a file is one of a trace's, as its first line says, or its name where it has no line; what cannot be read
    is none."""
    try:
        if not path.is_file():
            return False
        if _is_empty_trace(path):
            return True
        with path.open("rb") as file:
            members = parse_object(file.readline(LONGEST_LINE).decode())
    except (OSError, ValueError):
        return False
    return "kind" in members or "syscall" in members


def _is_empty_trace(path: Path) -> bool:
    """Whether it is a trace without a call, as the gate makes it of tests that make none."""
    return path.suffix == TRACE_SUFFIX and not path.stat().st_size


def kernel_version(release: str) -> tuple[int, int]:
    """Of what uname says: (6, 18) of 6.18-rc1."""
    match = re.match(r"([0-9]+)\.([0-9]+)", release)
    if match is None:
        raise SeccompError(f"the release of this kernel, {release!r}, is no version")
    return int(match[1]), int(match[2])
