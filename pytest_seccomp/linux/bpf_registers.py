"""Where a BPF program at the tracepoint sys_enter finds the arguments of a system call, and whether it is of 32 bits.

The tracepoint's arguments are a pointer to struct pt_regs and the number. What a user's registers look like in struct
pt_regs is the same in all kernels (arch/*/include/uapi/asm/ptrace.h).
"""

import os

from pytest_seccomp.errors import BackendError
from pytest_seccomp.linux.architecture import AARCH64, ARM, I386, X86_64, Architecture, NativeArchitecture

_THREAD_STATUS, _THREAD_STATUS_BEFORE_5_11 = 16, 8
_TS_COMPAT = 0x0002
_PSTATE = 264
_PSR_MODE32 = 0x10


class EntryLayout:
    """What is where on one architecture. Offsets are in bytes."""

    __slots__ = ("argument_2", "argument_4", "compat_architecture", "compat_bit", "compat_in_task", "compat_offset")

    def __init__(
        self,
        argument_2: int,
        argument_4: int,
        compat_architecture: Architecture,
        *,
        compat_in_task: bool,
        compat_offset: int,
        compat_bit: int,
    ) -> None:
        self.argument_2 = argument_2
        self.argument_4 = argument_4
        """In struct pt_regs, of the third and of the fifth argument."""
        self.compat_architecture = compat_architecture
        """Whose the calls are that are of 32 bits."""
        self.compat_in_task = compat_in_task
        """Whether the 32 bits that tell them are in struct task_struct, and not in struct pt_regs."""
        self.compat_offset = compat_offset
        self.compat_bit = compat_bit


def entry_layout(architecture: NativeArchitecture, release: str | None = None) -> EntryLayout:
    """That of an architecture, in the kernel that runs here or in `release`. Raises BackendError where nobody knows."""
    if architecture is X86_64:
        # int 0x80 of a 64-bit program leaves no trace in the registers. The kernel itself, seccomp included, looks at
        # `status` in struct thread_info, the first member of struct task_struct (arch/x86/include/asm/thread_info.h);
        # `syscall_work` stands before it from Linux 5.11 on.
        status = _THREAD_STATUS if _version(release or os.uname().release) >= (5, 11) else _THREAD_STATUS_BEFORE_5_11
        return EntryLayout(96, 72, I386, compat_in_task=True, compat_offset=status, compat_bit=_TS_COMPAT)
    if architecture is AARCH64:
        # A thread calls in the mode in which it runs: there is no other way (arch/arm64/kernel/entry-common.c)
        return EntryLayout(16, 32, ARM, compat_in_task=False, compat_offset=_PSTATE, compat_bit=_PSR_MODE32)
    raise BackendError(
        f"it is not known how the kernel keeps the registers of {architecture.name}", "x86_64 and aarch64 are supported"
    )


def _version(release: str) -> tuple[int, int]:
    major, minor = release.split(".")[:2]
    digits = len(minor) - len(minor.lstrip("0123456789"))  # 11-rc1
    return int(major), int(minor[:digits])
