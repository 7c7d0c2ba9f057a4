"""A drop-in for a unit of systemd: SystemCallFilter=, SystemCallArchitectures= and SystemCallErrorNumber=.

Groups stand for their calls where all of them are allowed that the architectures of the profile have, but for those of
@default, which systemd permits in any case. A group may be smaller in an older systemd than in our table, so calls of
Linux 5.1 and later, and those that came to their group since systemd 247, are listed by their names, too. Each setting
begins with an empty line, which takes back what the unit says itself. Source: systemd.exec(5).
"""

import textwrap
from collections.abc import Collection, Iterator

from pytest_seccomp.formats.format import Format, Written
from pytest_seccomp.formats.limits import of_other_architectures, without_a_name
from pytest_seccomp.formats.profile import Profile
from pytest_seccomp.linux import syscalls
from pytest_seccomp.linux.architecture import X32_BIT
from pytest_seccomp.profile.groups import groups
from pytest_seccomp.trace.table import printable

_ALWAYS = "@default"
_NOT_OF_SYSTEMD = frozenset({"@known", "@internet", "@sandbox"})
"""@sandbox is one of later versions only."""
_FIRST_OF_LINUX_5_1 = 403
"""From here on numbers are the same on all architectures, and new ones are given out in order of time."""
_LATE_IN_THEIR_GROUP = frozenset({
    "arch_prctl", "arm_fadvise64_64", "arm_sync_file_range", "getrandom", "mprotect", "riscv_flush_icache",
    "riscv_hwprobe", "sched_getaffinity", "seccomp",
})  # fmt: skip
"""Calls of earlier Linux that systemd 247 has elsewhere, or in no group: src/shared/seccomp-util.c of 247 and 262, of
which none knows the name arm_sync_file_range."""
_ARCHITECTURES = {
    "x86_64": "x86-64", "x32": "x32", "i386": "x86", "aarch64": "arm64", "arm": "arm", "riscv64": "riscv64",
    "loongarch64": "loongarch64", "s390x": "s390x", "s390": "s390", "ppc64le": "ppc64-le", "ppc64": "ppc64",
    "ppc": "ppc", "mips": "mips", "mipsel": "mips-le", "mips64": "mips64", "mipsel64": "mips64-le",
    "parisc": "parisc", "parisc64": "parisc64",
}  # fmt: skip
_WIDTH = 100


def _write(profile: Profile) -> Written:
    held = profile.only(_ARCHITECTURES)
    left_out = [
        *of_other_architectures(profile, _ARCHITECTURES, "systemd does not know their architecture"),
        *without_a_name(held),
    ]
    own = ["native"] if held.machines else []
    others = [_ARCHITECTURES[arch] for arch in held.architectures if arch not in held.machines]
    lines = [*_comments(held.heading(left_out)), "[Service]"]
    lines += _setting("SystemCallArchitectures", [*own, *others])
    lines += ["SystemCallFilter="]
    told: set[str] = set()
    for part, calls in held.named():
        if calls:
            names = {call.name for call in calls if call.name is not None}
            reasons = [f"{call.name}: {call.reason}" for call in calls if call.reason]
            listed = [name for name in folded(names, held.architectures) if name not in told]
            told.update(listed)
            lines += [*_comments([part.origin, *reasons]), *_setting("SystemCallFilter", listed)[1:]]
    error = str(profile.default).removeprefix("errno:") if profile.default.name == "errno" else ""
    lines += [f"SystemCallErrorNumber={error}"]  # none: the process is killed
    return Written.from_lines(lines, left_out)


def folded(names: Collection[str], architectures: Collection[str]) -> list[str]:
    """The groups that stand for calls, the largest first, then the calls that are in none of these or may be missing
    from them in an older systemd."""
    existing = {name for arch in architectures for name in syscalls.all_names(syscalls.audit_arch_of(arch))}
    allowed = set(names)
    rest, found = set(names), []
    members = {name: {member.name for member in group.members()} for name, group in groups().items()}
    for group in sorted(members.keys() - _NOT_OF_SYSTEMD, key=lambda group: (-len(members[group]), group)):
        whole = (members[group] - members[_ALWAYS]) & existing <= allowed
        if whole and len(members[group] & rest) > 1:
            found.append(group)
            rest -= members[group]
    late = {name for name in allowed - rest if _is_late(name, architectures)}
    return [*found, *sorted(rest | late)]


def _is_late(name: str, architectures: Collection[str]) -> bool:
    if name in _LATE_IN_THEIR_GROUP:
        return True
    numbers = (number for arch in architectures for number in syscalls.numbers_of(name, syscalls.audit_arch_of(arch)))
    return any(number & ~X32_BIT >= _FIRST_OF_LINUX_5_1 for number in numbers)


def _setting(name: str, values: Collection[str]) -> list[str]:
    """Lines that begin anew, and add up."""
    return [f"{name}=", *(f"{name}={line}" for line in textwrap.wrap(" ".join(values), _WIDTH - len(name)))]


def _comments(texts: Collection[str]) -> Iterator[str]:
    return (f"# {printable(text)}" for text in texts)


FORMAT = Format(
    "systemd", "a drop-in for a unit of systemd", _write, ("errno:EPERM", "errno", "kill_process"), bases=()
)  # what is needed around the program is in @default
