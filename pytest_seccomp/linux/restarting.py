"""Having a call made again that a signal has interrupted, as if the signal had come before it: by a tracer, for threads
that stop before they are given a signal (ptrace(2), signal-delivery-stop).

Only calls that do not wait by themselves: for all others the interruption may be the kernel's own, see `interruptible`.

Sources: arch/x86/kernel/signal.c; arch/arm64/kernel/signal.c, include/uapi/asm/sigcontext.h and ucontext.h;
kernel/signal.c, signal_setup_done.
"""

import struct
from typing import Protocol

from pytest_seccomp.linux import memory, ptrace
from pytest_seccomp.linux.architecture import AARCH64, X86_64, native
from pytest_seccomp.linux.interruptible import may_wait
from pytest_seccomp.linux.registers import CONVENTIONS, INSTRUCTIONS, MADE_AGAIN, Rewinding, interrupted_call

_EINTR = 4
_HALF = 0xFFFFFFFF


class Restarting(Protocol):
    """How it is done on one machine."""

    def before_signal(self, tid: int) -> bool:
        """A thread is about to be given a signal: returns whether it is to be stopped at the start of the handler.
        Raises OSError where it has ended, or its memory cannot be read."""

    def is_in_handler(self, tid: int) -> bool:
        """A thread has stopped with SIGTRAP: returns whether that was asked for. Then this is done with it."""


class _OnX86:
    """The call is given another of the kernel's own errors, with which it is made again whatever the handler is."""

    def before_signal(self, tid: int) -> bool:
        registers = ptrace.registers(tid)
        interrupted = interrupted_call(registers)
        if interrupted is None:
            return False
        number, address = interrupted
        audit_arch = INSTRUCTIONS.get(memory.read(tid, address, 2), 0)
        convention = CONVENTIONS.get(audit_arch)
        if not isinstance(convention, Rewinding):
            return False  # on the vsyscall page there is no such instruction
        if not may_wait(tid, audit_arch, number, convention.arguments_in(registers)):
            ptrace.set_registers(tid, MADE_AGAIN)
        return False

    def is_in_handler(self, _tid: int) -> bool:
        return False


_X8, _SP, _PC = 8, 31, 32  # of struct user_pt_regs
_SVC = b"\x01\x00\x00\xd4"  # svc #0

_SAVED_X0 = 312
_SAVED_PC = 568
"""In struct rt_sigframe, which the stack pointer points to at the start of a handler."""


class _OnAarch64:
    """The kernel has put the thread back onto its call before it stops, and makes EINTR of it after that. So the thread
    is stopped again at the start of its handler, and what the handler will return to is changed."""

    def __init__(self) -> None:
        self._calls: dict[int, tuple[int, int]] = {}
        """Of threads that are to be stopped in the handler: the address of the call and its first argument."""

    def before_signal(self, tid: int) -> bool:
        self._calls.pop(tid, None)
        registers = ptrace.registers(tid)
        if len(registers) <= _PC:
            return False  # a program of 32 bits
        address = registers[_PC]
        # One that has not come to its call yet looks the same: it will not get EINTR
        if memory.read(tid, address, 4) != _SVC:
            return False
        if may_wait(tid, AARCH64.audit_arch, registers[_X8] & _HALF, registers[:6]):
            return False
        self._calls[tid] = address, registers[0]
        return True

    def is_in_handler(self, tid: int) -> bool:
        if tid not in self._calls or ptrace.signal_code(tid) not in ptrace.CODES_OF_A_STEP:
            return False
        address, first = self._calls.pop(tid)
        frame = ptrace.registers(tid)[_SP]
        try:
            saved = [memory.read(tid, frame + at, 8) for at in (_SAVED_PC, _SAVED_X0)]
            if saved == [struct.pack("=Q", address + len(_SVC)), struct.pack("=q", -_EINTR)]:
                memory.write(tid, frame + _SAVED_PC, struct.pack("=Q", address))
                memory.write(tid, frame + _SAVED_X0, struct.pack("=Q", first))
        except OSError:
            pass  # there is no handler, and the stack pointer anything
        return True


def here() -> Restarting | None:
    """How it is done on this machine; None where it is not."""
    if native() is X86_64:
        return _OnX86()
    return _OnAarch64() if native() is AARCH64 else None
