"""The registers of a thread that has been stopped where it comes out of a system call: whether it is a certain call,
and what to change so that it makes the call again, with another sixth argument.

Pure. A stopped thread's registers are a list of numbers here, in the order of struct user_regs_struct (x86-64,
riscv64), struct user_pt_regs (aarch64) or that of 32-bit threads on aarch64. The call is one that a supervisor has
answered with ERESTARTNOINTR, or that an interruption has ended with ERESTARTSYS: errors that ask the kernel to have
the call made again, and that no program sees. What kernels do with them differs, see the two classes.

Sources: arch/x86/include/asm/user_64.h, syscall.h and kernel/signal.c; arch/arm64/include/uapi/asm/ptrace.h,
kernel/ptrace.c (aarch32_regsets) and kernel/signal.c; arch/riscv/include/uapi/asm/ptrace.h and kernel/signal.c.
"""

from collections.abc import Sequence

from pytest_seccomp.linux.architecture import AARCH64, ARM, I386, RISCV64, X86_64
from pytest_seccomp.linux.waiting import WaitingCall

ERESTARTSYS = 512
ERESTARTNOINTR = 513
"""Errors of the kernel's own (include/linux/errno.h)."""

_HALF = 0xFFFFFFFF
_NO_CALL = 0xFFFFFFFF

_THUMB = 0x20
"""In the program status register of arm."""

# Of struct user_regs_struct of x86-64
_RAX = 10
_ORIG_RAX = 15
_RIP = 16
_LENGTH_OF_A_CALL = 2
"""In bytes, of `syscall` and `int $0x80`. After `sysenter`, too, the kernel returns behind an `int $0x80` (vDSO)."""


INSTRUCTIONS = {b"\x0f\x05": X86_64.audit_arch, b"\xcd\x80": I386.audit_arch}
"""By which calls are made on x86-64, and the AUDIT_ARCH_* of these."""


class Rewinding:
    """On x86-64 the kernel puts a thread back onto its call after all stops, as the last thing; so we do it here. It
    would not do it for a call with the number -1, and a program under a filter can make such a call, too."""

    def __init__(self, *arguments: int) -> None:
        self._arguments = arguments
        self.sixth = arguments[5]
        """The register of the sixth argument."""

    def is_at(self, call: WaitingCall, registers: Sequence[int]) -> bool:
        """Whether the thread comes out of this call, which was not made."""
        return (
            registers[_RAX] & _HALF in (-ERESTARTSYS & _HALF, -ERESTARTNOINTR & _HALF)
            and registers[_ORIG_RAX] & _HALF == call.number
            and registers[_RIP] == call.pointer
            and self.arguments_in(registers) == call.arguments
        )

    def arguments_in(self, registers: Sequence[int]) -> tuple[int, ...]:
        """The six arguments of the call."""
        return tuple(registers[at] for at in self._arguments)

    def again(self, _call: WaitingCall, registers: Sequence[int], sixth: int) -> dict[int, int]:
        """What to change so that the thread makes its call again, with that sixth argument."""
        return {
            self.sixth: sixth,
            _RAX: registers[_ORIG_RAX],
            _RIP: registers[_RIP] - _LENGTH_OF_A_CALL,
            _ORIG_RAX: 2**64 - 1,  # it comes out of no call any more: nothing for the kernel to put back
        }


class Rewound:
    """On other machines the kernel has put the thread back before it stops. Not onto a call with the number -1 on
    aarch64, which takes that for one that a tracer has made void: the thread stands behind it, and has the error."""

    def __init__(self, *arguments: int, number: int, pointer: int, mode: int | None = None) -> None:
        self._arguments = arguments
        self._number = number
        self._pointer = pointer
        self._mode = mode
        """Where the machine has instructions of two lengths, the register that says which."""
        self.sixth = arguments[5]
        """The register of the sixth argument."""

    def is_at(self, call: WaitingCall, registers: Sequence[int]) -> bool:
        """Whether the thread is to make this call again."""
        first, *others = (registers[at] for at in self._arguments)
        if registers[self._pointer] == call.pointer and call.number == _NO_CALL:
            first_fits = first & _HALF in (-ERESTARTSYS & _HALF, -ERESTARTNOINTR & _HALF)
        else:
            first_fits = (registers[self._pointer], first) == (self._start(call, registers), call.arguments[0])
        return first_fits and (registers[self._number] & _HALF, *others) == (call.number, *call.arguments[1:])

    def again(self, call: WaitingCall, registers: Sequence[int], sixth: int) -> dict[int, int]:
        """What to change so that the thread makes its call again, with that sixth argument."""
        return {
            self._arguments[0]: call.arguments[0],
            self.sixth: sixth,
            self._pointer: self._start(call, registers),
        }

    def _start(self, call: WaitingCall, registers: Sequence[int]) -> int:
        """Where the instruction is that makes the call."""
        thumb = self._mode is not None and registers[self._mode] & _THUMB
        return call.pointer - (2 if thumb else 4)


CONVENTIONS: dict[int, Rewinding | Rewound] = {
    X86_64.audit_arch: Rewinding(14, 13, 12, 7, 9, 8),  # rdi, rsi, rdx, r10, r8, r9; those of x32 are the same
    I386.audit_arch: Rewinding(5, 11, 12, 13, 14, 4),  # ebx, ecx, edx, esi, edi, ebp: a filter sees them whole
    AARCH64.audit_arch: Rewound(0, 1, 2, 3, 4, 5, number=8, pointer=32),  # x0 to x5, x8
    ARM.audit_arch: Rewound(0, 1, 2, 3, 4, 5, number=7, pointer=15, mode=16),  # r0 to r5, r7
    RISCV64.audit_arch: Rewound(10, 11, 12, 13, 14, 15, number=17, pointer=0),  # a0 to a5, a7
}
"""By AUDIT_ARCH_* of the call."""

MADE_AGAIN = {_RAX: 2**64 - ERESTARTNOINTR}
"""Of a thread that `interrupted_call` knows: what to change so that the kernel makes the call again after the signal's
handler. One register, so that a tracer that is killed leaves nothing half done."""


def interrupted_call(registers: Sequence[int]) -> tuple[int, int] | None:
    """Of a thread that is about to be given a signal, on x86-64: the number of the call that the signal has interrupted
    and the address of the instruction that made it; None where it has interrupted none."""
    if registers[_RAX] & _HALF != -ERESTARTSYS & _HALF or registers[_ORIG_RAX] == 2**64 - 1:
        return None
    return registers[_ORIG_RAX] & _HALF, registers[_RIP] - _LENGTH_OF_A_CALL
