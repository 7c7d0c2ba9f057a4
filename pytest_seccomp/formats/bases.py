"""Base sets: calls that are made around a program, under its filter, by others than the program, such as the runtime of
its container on the way to the execve. No trace of the program has them.

They come from `bases.txt` beside this file, which says where it has them from.
"""

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.formats.profile import Allowed, Part
from pytest_seccomp.linux import syscalls
from pytest_seccomp.linux.architecture import X32, X32_BIT
from pytest_seccomp.profile.architectures import machine_of
from pytest_seccomp.profile.edited import BASE_SET

END = "end"
"""The one that every program needs, of whatever architecture it is."""

_REMARK = "Base sets: "


@dataclass(slots=True, frozen=True)
class Base:
    """A base set."""

    name: str
    description: str
    """In words: what makes the calls."""
    reasons: Mapping[str, str]
    """Why each call is made, by its name."""

    def part(self, architectures: Collection[str]) -> Part:
        """What it allows in a profile with calls of these architectures: calls of the machines on which they are made;
        END those of all the architectures."""
        arches = architectures if self.name == END else {machine_of(arch) for arch in architectures}
        found = {
            (arch, number): Allowed(arch, number, name, reason)
            for arch in arches
            for name, reason in self.reasons.items()
            for number in _numbers(name, arch)
        }
        return Part(f"{BASE_SET} {self.name}: {self.description}", tuple(found[key] for key in sorted(found)))


def find(name: str, others: Iterable[str] = ()) -> Base:
    """The base set of a name. SeccompError where there is none, with the nearest name of these and of `others`, which
    could have been meant."""
    if name in bases():
        return bases()[name]
    known = [*bases(), *others]
    nearest = difflib.get_close_matches(name, known, n=1)
    remedy = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}"
    raise SeccompError(f"no base set is named {name!r}: {remedy}")


def remark(names: Iterable[str]) -> str:
    """What a profile says of the base sets that are in it, also of those of which its traces have all calls."""
    return f"{_REMARK}{', '.join(names)}."


def needed(comments: Iterable[str]) -> frozenset[str]:
    """The names of the calls that a profile needs for its base sets, as far as its comments tell of some that there are
    in this version."""
    told = [match[1].split(", ") for text in comments for match in re.finditer(rf"{_REMARK}([\w, -]+)\.", text)]
    found = (bases().get(name) for names in told for name in names)
    return frozenset(call for base in found if base is not None for call in base.reasons)


@cache
def bases() -> Mapping[str, Base]:
    """All of them by name, in the order of the file."""
    found: dict[str, Base] = {}
    text = resources.files("pytest_seccomp.formats").joinpath("bases.txt").read_text(encoding="ascii")
    text = re.sub("^#.*\n", "", text, flags=re.MULTILINE)
    for section in text.strip().split("\n\n"):
        head, *lines = section.splitlines()
        name, _, description = head.partition(": ")
        reasons: dict[str, str] = {}
        for line in map(str.strip, lines):
            if line.startswith("+"):
                reasons.update(found[line.removeprefix("+")].reasons)
            else:
                reason, _, names = line.rpartition(": ")
                for call in names.split():
                    reasons.setdefault(call, reason)
        found[name] = Base(name, description, reasons)
    return found


def _numbers(name: str, arch: str) -> Iterator[int]:
    try:
        audit_arch = syscalls.audit_arch_of(arch)
    except ValueError:  # an architecture that only the version knows which wrote the trace
        return
    is_x32 = arch == X32.name
    if name in syscalls.all_names(audit_arch):  # else libseccomp would be asked, in vain but at some cost
        numbers = syscalls.numbers_of(name, audit_arch)
        yield from (number for number in numbers if audit_arch != X32.audit_arch or (number >= X32_BIT) == is_x32)
