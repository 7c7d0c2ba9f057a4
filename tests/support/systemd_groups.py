"""systemd's groups: as this machine's systemd has them, and how those of its versions differ from our table.

Source: src/shared/seccomp-util.c of systemd 247, 249, 252, 254, 255, 257, 259 and 262.
"""

import functools
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from pytest_seccomp.profile.groups import KNOWN, groups

NEWEST = 262
"""The version that our table follows."""


@dataclass(slots=True, frozen=True)
class Since:
    """When a call came to the group that it is in."""

    version: int
    """All releases from here on have it there. Of the one before some may: calls are added in point releases, too."""
    before: str = ""
    """The group that it was in before; "" where it was in none."""


SINCE = {
    "arch_prctl": Since(249, "@process"),
    **dict.fromkeys(("getrandom", "mprotect", "sched_getaffinity"), Since(249, "@system-service")),
    **dict.fromkeys(("epoll_pwait2", "mount_setattr", "process_madvise"), Since(249)),
    **dict.fromkeys(
        (
            "arm_fadvise64_64", "fchmodat2", "futex_waitv", "quotactl_fd", "riscv_flush_icache", "riscv_hwprobe",
            "set_mempolicy_home_node",
        ),
        Since(256),
    ),
    **dict.fromkeys(
        (
            "file_getattr", "file_setattr", "fstatat", "getxattrat", "landlock_add_rule", "landlock_create_ruleset",
            "landlock_restrict_self", "listmount", "listxattrat", "llseek", "lsm_get_self_attr", "lsm_list_modules",
            "mseal", "newfstat", "removexattrat", "seccomp", "setxattrat", "statmount", "uretprobe",
        ),
        Since(258),
    ),
    "open_tree": Since(260, "@mount"),
    "open_tree_attr": Since(260),
}  # fmt: skip
IN_NONE = frozenset({
    "arm_sync_file_range", "cachestat", "futex_requeue", "futex_wait", "futex_wake", "get_tls", "listns",
    "map_shadow_stack", "process_mrelease", "rseq_slice_yield", "uprobe",
})  # fmt: skip
"""In groups of ours, and in none that systemd has so far."""

Members = Mapping[str, frozenset[str]]
"""Groups, each with all calls in it, those of the groups in it as well."""


def ours() -> Members:
    """The groups of our table."""
    return {name: frozenset(member.name for member in group.members()) for name, group in groups().items()}


def of_version(version: int) -> Members:
    """Those of an older or the newest systemd, made of our table."""

    def members(name: str) -> Iterator[str]:
        for call in (member.name for member in groups()[name].own):
            since = SINCE.get(call, Since(0))
            if call not in IN_NONE and (version >= since.version) != (since.before == name):
                yield call
        yield from (call for call, since in SINCE.items() if since.before == name and version < since.version)
        for included in groups()[name].includes:
            yield from members(included)

    return {name: frozenset(members(name)) for name in groups() if name not in (KNOWN, "@internet", "@sandbox")}


@functools.cache
def version_here() -> int:
    """The version of this machine's systemd."""
    told = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=True).stdout
    return int(told.split()[1])


@functools.cache
def of_this_machine() -> Members:
    """Those of this machine's systemd."""
    command = ["systemd-analyze", "--no-pager", "syscall-filter"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    sections = dict(re.findall(r"^(@\S+)\n((?: .*\n)+)", re.sub("\x1b[^m]*m", "", text), re.MULTILINE))
    own = {name: re.findall(r"^ +([^#\s]+)$", lines, re.MULTILINE) for name, lines in sections.items()}

    def members(name: str) -> frozenset[str]:
        return frozenset().union(*(members(one) if one.startswith("@") else {one} for one in own[name]))

    return {name: members(name) for name in own}


def unlike_ours(theirs: Members, version: int) -> list[str]:
    """The calls that a systemd has in other groups than our table, for no reason that is known."""
    grouped = frozenset().union(*(calls for name, calls in theirs.items() if name != KNOWN))
    found = []
    for name in sorted(theirs.keys() - {KNOWN}):
        known = ours().get(name, frozenset())
        # Calls that have moved stay in the group where they were: a policy that denies it goes on denying them
        left = {call for call, since in SINCE.items() if since.before == name}
        unexplained = (theirs[name] - known) | ((known - theirs[name]) & grouped - left)
        found += [f"{call} in {name}" for call in sorted(unexplained) if version >= SINCE.get(call, Since(0)).version]
    return found


def must_be_none(differences: list[str]) -> None:
    """Assert that this machine's systemd does not differ; one that is newer than our table may, and skips the test."""
    if differences and version_here() > NEWEST:
        pytest.skip(f"the groups are those of systemd {NEWEST}; {version_here()} differs: {', '.join(differences)}")
    assert differences == []
