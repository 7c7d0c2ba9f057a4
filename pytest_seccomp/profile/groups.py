"""Named groups of system calls, such as @mount: those of systemd's SystemCallFilter=, and @internet, which is ours.

They come from `groups.txt` beside this file, which says where they have their members from.
"""

import difflib
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux import syscalls

KNOWN = "@known"

_FILE = "groups.txt"
_MEMBER = re.compile(r"([a-z0-9_]+)(?:\((\w+)\))?")


@dataclass(slots=True, frozen=True, order=True)
class Member:
    """A call in a group, by its kernel name; where `argument` is given, only with that as its first argument."""

    name: str
    argument: str = ""
    """The name of a constant of the socket module, such as AF_INET."""

    @property
    def value(self) -> int | None:
        """The number that the first argument has, None where any will do."""
        return int(getattr(socket, self.argument)) if self.argument else None

    def __str__(self) -> str:
        return f"{self.name}({self.argument})" if self.argument else self.name


@dataclass(slots=True, frozen=True)
class Group:
    """A group: `own` are its calls, `includes` the names of groups that are part of it."""

    name: str
    description: str
    own: tuple[Member, ...]
    includes: tuple[str, ...]

    def members(self) -> frozenset[Member]:
        """Its calls and those of the groups in it."""
        return frozenset(self.own).union(*(find(name).members() for name in self.includes))


def find(name: str) -> Group:
    """The group of a name, which begins with `@`. SeccompError where there is none, with the nearest name."""
    group = groups().get(name)
    if group is not None:
        return group
    # Without the @, which all have in common, and which would make any short name near to another
    nearest = difflib.get_close_matches(name.removeprefix("@"), [known[1:] for known in groups()], n=1)
    remedy = f"did you mean @{nearest[0]}?" if nearest else "pytest-seccomp groups lists them"
    raise SeccompError(f"no group of system calls is named {name!r}: {remedy}")


@cache
def groups() -> Mapping[str, Group]:
    """All groups by name, in the order of their names."""
    text = resources.files("pytest_seccomp.profile").joinpath(_FILE).read_text(encoding="ascii")
    found = {group.name: group for group in _read(text)}
    known = tuple(Member(name) for name in sorted(syscalls.all_names()))
    found[KNOWN] = Group(KNOWN, "every system call that this version knows", known, ())
    return dict(sorted(found.items()))


def _read(text: str) -> Iterator[Group]:
    for section in re.split(r"^(?=@)", text, flags=re.MULTILINE)[1:]:
        head, *lines = section.splitlines()
        name, _, description = head.partition(": ")
        members = " ".join(lines).split()
        own = tuple(_member(member) for member in members if not member.startswith("@"))
        yield Group(name, description, own, tuple(member for member in members if member.startswith("@")))


def _member(text: str) -> Member:
    match = _MEMBER.fullmatch(text)
    if match is None:
        raise ValueError(f"{_FILE}: {text!r} is no call")
    return Member(match[1], match[2] or "")
