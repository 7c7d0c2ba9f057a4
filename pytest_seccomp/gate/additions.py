"""What has to stand in a file for it to allow a call, and why some calls cannot be added to it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from pytest_seccomp.gate.allowed import Allowed, AllowedByProfile
from pytest_seccomp.profile.architectures import PROFILE_NAMES, machine_of
from pytest_seccomp.trace.records import Record

ARCHITECTURES = {ours: name for name, ours in PROFILE_NAMES.items()}
"""How profiles call an architecture, by our name."""


@dataclass(slots=True)
class Additions:
    """What has to be added for some calls."""

    names: set[str] = field(default_factory=set)
    """To a profile."""
    architectures: set[str] = field(default_factory=set)
    """To a profile, by our names."""
    records: list[Record] = field(default_factory=list)
    """To a trace."""
    refused: list[tuple[Record, str]] = field(default_factory=list)
    """Calls that cannot be added, each with the reason."""

    def __bool__(self) -> bool:
        return bool(self.names or self.architectures or self.records)

    @property
    def texts(self) -> list[str]:
        """Each in a line, as the file has it."""
        architectures = [json.dumps(ARCHITECTURES[arch]) for arch in sorted(self.architectures)]
        records = [record.format().rstrip("\n") for record in self.records]
        return [*architectures, *map(json.dumps, sorted(self.names)), *records]


def additions(allowed: Allowed, records: Iterable[Record]) -> Additions:
    """What has to be added for a file to allow calls that are outside it."""
    found = Additions()
    for record in records:
        if isinstance(allowed, AllowedByProfile):
            _add_to_profile(found, allowed, record)
        else:
            found.records.append(record)
    return found


def _add_to_profile(found: Additions, allowed: AllowedByProfile, record: Record) -> None:
    arch, name = record.arch, record.name
    if name is None:
        found.refused.append((record, "it has no name, and profiles have names alone"))
    elif arch not in ARCHITECTURES:
        found.refused.append((record, f"profiles know no architecture {arch}"))
    elif allowed.denies_by_name(arch, name):
        found.refused.append((record, "the profile denies it by its name: change that by hand"))
    elif allowed.has_architecture(arch):
        found.names.add(name)
    elif not allowed.may_add_architectures:
        found.refused.append((record, f'the profile is not for {arch}: add that to its "archMap" by hand'))
    else:
        found.architectures.add(arch)
        if not any(call.is_met_by(arch, record.syscall, name) for call in allowed.own([machine_of(arch)])):
            found.names.add(name)
