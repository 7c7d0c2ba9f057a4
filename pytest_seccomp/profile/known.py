"""Every name that is some call's, on whatever architecture: any other is a misspelling, or newer than this version."""

from functools import cache

from pytest_seccomp.linux import syscalls
from pytest_seccomp.profile.groups import groups

# In no group, and of architectures that the table of numbers does not have: the kernel's tables of MIPS, PowerPC, S/390
_ELSEWHERE = {
    "atomic_barrier", "atomic_cmpxchg_32", "cachectl", "getpagesize", "multiplexer", "s390_guarded_storage",
    "s390_sthyi", "spu_create", "spu_run", "syscall", "sysmips", "timerfd",
}  # fmt: skip


@cache
def known_names() -> frozenset[str]:
    """Without asking libseccomp, which costs more than reading a profile."""
    grouped = (member.name for group in groups().values() for member in group.own)
    return syscalls.all_names().union(grouped, _ELSEWHERE)
