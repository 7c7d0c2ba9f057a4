"""The host for which profiles are read: this machine, and what a program that pytest starts may do."""

import re
from collections.abc import Iterable
from os import uname

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.capabilities import NAMES
from pytest_seccomp.linux.process import status_field
from pytest_seccomp.profile.document import nearest
from pytest_seccomp.profile.given import names_in
from pytest_seccomp.profile.selection import Host


def here(capabilities: Iterable[str] | None = None) -> Host:
    """This host. `capabilities` are those that profiles with `includes` and `excludes` are to go by; without them those
    that pytest has, and so its programs can have: in a container those of the container, for an ordinary user none.
    Raises SeccompError for a name that no capability has."""
    found = re.match(r"(\d+)\.(\d+)", uname().release)
    kernel = (int(found[1]), int(found[2])) if found else (0, 0)
    return Host(native(), kernel, _own() if capabilities is None else _named(capabilities))


def _own() -> frozenset[str]:
    permitted = int(status_field("CapPrm") or "0", 16)
    return frozenset(name for number, name in enumerate(NAMES) if permitted >> number & 1)


def _named(capabilities: Iterable[str]) -> frozenset[str]:
    names = names_in(capabilities, "capabilities")
    for name in names:
        if name not in NAMES:
            meant = nearest(name.upper(), NAMES)
            raise SeccompError(f"{name!r} is no capability" + (f": did you mean {meant}?" if meant else ""))
    return frozenset(names)
