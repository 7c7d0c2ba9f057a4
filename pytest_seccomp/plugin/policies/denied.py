"""What a recorder tells of the policies of a test, as denials."""

import errno
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.notification import ACTION, RET_DATA, RET_ERRNO
from pytest_seccomp.linux.syscalls import SystemCall, identify
from pytest_seccomp.plugin.policies.marked import Marked
from pytest_seccomp.profile.in_process import calls
from pytest_seccomp.recorder import policies
from pytest_seccomp.trace.denials import Denial

LOG = "log"
"""The action of what was not denied, only noted."""


def told(
    found: Sequence["policies.Denial"], left_out: int, by_number: Mapping[int, Marked], whose: Mapping[str, Any]
) -> list[Denial]:
    """Denials of a phase; `whose` are the members that say which, and `left_out` how many the recorder did not keep."""
    denials = [_denial(by_number[one[0]], whose, *one[1:]) for one in found]
    if left_out:
        more = f"and {left_out:,} others, to more different processes than are kept"
        denials[-1] = replace(denials[-1], notes=(*denials[-1].notes, more))
    return denials


def denied_by(marked: Iterable[Marked]) -> set[SystemCall]:
    """The calls that policies deny, by whatever arguments."""
    return {
        _call(call) for one in marked if one.policy.action.name != LOG for call in calls(one.policy.policy(native()))
    }


def _denial(
    marked: Marked,
    whose: Mapping[str, Any],
    call: int,
    verdict: int,
    pid: int,
    comm: bytes,
    exe: bytes | None,
    arguments: tuple[int, ...],
    count: int,
) -> Denial:
    fails, error = verdict & ACTION == RET_ERRNO, verdict & RET_DATA
    made = _call(call)
    return Denial(
        **whose,
        syscall=made.number,
        name=made.name,
        arch=made.arch,
        count=count,
        action="errno" if fails else LOG,
        errno=errno.errorcode.get(error, str(error)) if fails else None,
        pid=pid,
        comm=_text(comm),
        exe=None if exe is None else _text(exe),
        args=arguments,
        source="notify",
        expected=False,
        notes=(f"by {marked}",),
    )


def _call(call: int) -> SystemCall:
    """A call as the ledger has it. Its number is an int in struct seccomp_data."""
    number = call & 0xFFFFFFFF
    return identify(call >> 32, number - (1 << 32) if number >> 31 else number)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
