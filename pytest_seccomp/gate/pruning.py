"""Which names of a profile nobody needs, as far as complete traces tell."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_seccomp.formats import bases
from pytest_seccomp.linux.architecture import I386
from pytest_seccomp.profile.actions import ALLOW
from pytest_seccomp.profile.architectures import PROFILE_NAMES, machine_of
from pytest_seccomp.profile.document import read
from pytest_seccomp.profile.edited import is_base_set, is_conditional, is_prunable, names_of
from pytest_seccomp.profile.known import known_names
from pytest_seccomp.profile.multiplexed import carrier
from pytest_seccomp.profile.policy import Rule
from pytest_seccomp.trace.records import Record
from pytest_seccomp.trace.wanted import Wanted


@dataclass(slots=True)
class Needed:
    """The names that are needed: those of calls that were made, and others that are kept."""

    made: Collection[Record]
    kept: Collection[str]

    def is_needed(self, name: str) -> bool:
        """Whether a name must stay. So does one that nobody knows: it may be that of a newer call."""
        if name in self.kept or name not in known_names():
            return True
        # i386 makes socket and others as a part of socketcall, and no trace tells which
        whole = carrier(Rule(Wanted(name, None, name, None), ALLOW))
        return any(record.name == name or (record.name == whole and record.arch == I386.name) for record in self.made)


@dataclass(slots=True, frozen=True)
class Names:
    """The names of a profile, as far as they may be taken away or not."""

    prunable: list[str]
    """Allowed on every host, for what was called."""
    around: list[str]
    """For base sets, with which `pytest-seccomp generate` made it: tests tell nothing of what is made around them."""
    elsewhere: list[str]
    """In entries with docker's `includes` or `excludes`, of which traces of this host tell nothing."""
    machines: list[str]
    """The architectures of the machines that the profile names; none where it is for whichever runs it."""

    @classmethod
    def of(cls, path: Path) -> "Names":
        """Of a profile that has been found to be sound."""
        document = read(path).value
        profile: dict[str, Any] = document["linux"]["seccomp"] if "ociVersion" in document else document
        entries = profile.get("syscalls") or []
        allowing = [entry for entry in entries if entry.get("action") == "SCMP_ACT_ALLOW"]
        mapped = (entry["architecture"] for entry in profile.get("archMap") or ())
        architectures = [*(profile.get("architectures") or ()), *mapped]
        comments = (entry["comment"] for entry in entries if isinstance(entry.get("comment"), str))
        needed = bases.needed(comments)
        prunable = _sorted(entry for entry in allowing if is_prunable(entry))
        around = {*_sorted(entry for entry in allowing if is_base_set(entry)), *(needed.intersection(prunable))}
        return cls(
            prunable=[name for name in prunable if name not in needed],
            around=sorted(around),
            elsewhere=_sorted(entry for entry in allowing if is_conditional(entry)),
            machines=sorted({machine_of(PROFILE_NAMES[name]) for name in architectures}),
        )


def _sorted(entries: Iterable[dict[str, Any]]) -> list[str]:
    return sorted({name for entry in entries for name in names_of(entry)})
