"""What docker adds to profiles: entries that hold on some hosts only, by capabilities, architecture and kernel.

Source: moby's profiles/seccomp/seccomp.go and seccomp_linux.go; containers/common has the same.
"""

import re
from dataclasses import dataclass

from pytest_seccomp.linux.architecture import Architecture
from pytest_seccomp.linux.capabilities import NAMES
from pytest_seccomp.profile.architectures import DOCKER_NAMES, OTHER_DOCKER_NAMES
from pytest_seccomp.profile.document import Node, nearest

_ARCHES = frozenset(DOCKER_NAMES.values()) | OTHER_DOCKER_NAMES


@dataclass(slots=True, frozen=True)
class Host:
    """What a profile is read for."""

    machine: Architecture
    kernel: tuple[int, int]
    """Its version, as 6, 18."""
    capabilities: frozenset[str]
    """Those in the bounding set of the program that is put under it, as CAP_SYS_ADMIN."""


@dataclass(slots=True, frozen=True)
class Selection:
    """The member `includes` or `excludes` of an entry."""

    capabilities: frozenset[str]
    arches: frozenset[str]
    kernel: tuple[int, int] | None
    """From which one on."""

    @classmethod
    def from_node(cls, node: Node, warnings: list[str]) -> "Selection":
        """SeccompError where it is malformed; what nobody knows becomes a warning, for a newer host may."""
        members = node.members(("caps", "arches", "minKernel"), warnings)
        sets = {}
        for name, known in (("caps", frozenset(NAMES)), ("arches", _ARCHES)):
            items = list(members[name].items()) if name in members else []
            sets[name] = frozenset(item.text() for item in items)
            for item in items:
                if item.value not in known:
                    meant = nearest(item.value, known)
                    hint = f": did you mean {meant}?" if meant else ""
                    noun = "capability" if name == "caps" else "architecture"
                    warnings.append(item.said(f"{item.shown()} is no {noun}{hint}"))
        kernel = _version(members["minKernel"]) if "minKernel" in members else None
        return cls(sets["caps"], sets["arches"], kernel)

    def includes(self, host: Host) -> bool:
        """Whether an entry that includes this holds: all that is said must be true."""
        return (
            self.capabilities <= host.capabilities
            and (not self.arches or DOCKER_NAMES[host.machine.name] in self.arches)
            and (self.kernel is None or host.kernel >= self.kernel)
        )

    def excludes(self, host: Host) -> bool:
        """Whether an entry that excludes this does not hold: one thing that is true is enough."""
        return (
            bool(self.capabilities & host.capabilities)
            or DOCKER_NAMES[host.machine.name] in self.arches
            or (self.kernel is not None and host.kernel >= self.kernel)
        )


def _version(node: Node) -> tuple[int, int] | None:
    """None for an empty text, which docker takes for none at all."""
    if node.value == "":
        return None
    match = re.fullmatch(r"([0-9]{1,3})\.([0-9]{1,3})", node.text())
    if match is None:
        raise node.wrong(f"{node.shown()} is no version of the kernel: write it as 4.8")
    return int(match[1]), int(match[2])
