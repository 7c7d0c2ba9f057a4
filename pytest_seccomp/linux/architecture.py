"""Architectures as the kernel tells them apart, and the few system call numbers that filters of ours are built from.

The recorder imports this file and has to be up within milliseconds: plain classes, no enum, dataclasses, typing or
ctypes. Names of all other calls are in `syscalls`.
Sources: include/uapi/linux/audit.h and elf-em.h (AUDIT_ARCH_*), the kernel's system call tables (numbers).
"""

import sys
from os import uname

from pytest_seccomp.errors import BackendError

_64BIT = 0x80000000
_LITTLE_ENDIAN = 0x40000000
_MIPS64_N32 = 0x20000000

X32_BIT = 0x40000000
"""Set in the number of an x32 call; its AUDIT_ARCH_* is that of x86_64 (asm/unistd.h, __X32_SYSCALL_BIT)."""


class Architecture:
    """A system call interface of Linux: its name here and its AUDIT_ARCH_* number."""

    __slots__ = ("audit_arch", "name")

    def __init__(self, name: str, audit_arch: int) -> None:
        self.name = name
        self.audit_arch = audit_arch

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} 0x{self.audit_arch:08x}>"


class NativeArchitecture(Architecture):
    """An architecture on which we trace, with the numbers of the calls that we filter or make ourselves.

    Calls from 424 on have one number on every architecture listed here (scripts/syscall.tbl).
    """

    __slots__ = (
        "bpf",
        "execve",
        "ioctl",
        "memfd_create",
        "munmap",
        "perf_event_open",
        "prctl",
        "ptrace",
        "recvmsg",
        "seccomp",
        "sendmsg",
        "setitimer",
        "tgkill",
        "timer_settime",
    )

    pidfd_send_signal = 424
    pidfd_open = 434
    clone3 = 435
    close_range = 436
    pidfd_getfd = 438

    def __init__(
        self,
        name: str,
        audit_arch: int,
        *,
        bpf: int,
        execve: int,
        ioctl: int,
        memfd_create: int,
        munmap: int,
        perf_event_open: int,
        prctl: int,
        ptrace: int,
        recvmsg: int,
        seccomp: int,
        sendmsg: int,
        setitimer: int,
        tgkill: int,
        timer_settime: int,
    ) -> None:
        super().__init__(name, audit_arch)
        self.bpf = bpf
        self.execve = execve
        self.ioctl = ioctl
        self.memfd_create = memfd_create
        self.munmap = munmap
        self.perf_event_open = perf_event_open
        self.prctl = prctl
        self.ptrace = ptrace
        self.recvmsg = recvmsg
        self.seccomp = seccomp
        self.sendmsg = sendmsg
        self.setitimer = setitimer
        self.tgkill = tgkill
        self.timer_settime = timer_settime


def _generic(name: str, audit_arch: int) -> NativeArchitecture:
    """An architecture that has used the kernel's generic table (scripts/syscall.tbl) from its beginning."""
    return NativeArchitecture(
        name,
        audit_arch,
        bpf=280,
        execve=221,
        ioctl=29,
        memfd_create=279,
        munmap=215,
        perf_event_open=241,
        prctl=167,
        ptrace=117,
        recvmsg=212,
        seccomp=277,
        sendmsg=211,
        setitimer=103,
        tgkill=131,
        timer_settime=110,
    )


X86_64 = NativeArchitecture(
    "x86_64",
    62 | _64BIT | _LITTLE_ENDIAN,
    bpf=321,
    execve=59,
    ioctl=16,
    memfd_create=319,
    munmap=11,
    perf_event_open=298,
    prctl=157,
    ptrace=101,
    recvmsg=47,
    seccomp=317,
    sendmsg=46,
    setitimer=38,
    tgkill=234,
    timer_settime=223,
)
AARCH64 = _generic("aarch64", 183 | _64BIT | _LITTLE_ENDIAN)
RISCV64 = _generic("riscv64", 243 | _64BIT | _LITTLE_ENDIAN)
I386 = Architecture("i386", 3 | _LITTLE_ENDIAN)
ARM = Architecture("arm", 40 | _LITTLE_ENDIAN)
X32 = Architecture("x32", X86_64.audit_arch)

ARCHITECTURES: tuple[Architecture, ...] = (
    X86_64,
    I386,
    AARCH64,
    ARM,
    RISCV64,
    Architecture("riscv32", 243 | _LITTLE_ENDIAN),
    Architecture("loongarch64", 258 | _64BIT | _LITTLE_ENDIAN),
    Architecture("s390x", 22 | _64BIT),
    Architecture("s390", 22),
    Architecture("ppc64le", 21 | _64BIT | _LITTLE_ENDIAN),
    Architecture("ppc64", 21 | _64BIT),
    Architecture("ppc", 20),
    Architecture("mips", 8),
    Architecture("mipsel", 8 | _LITTLE_ENDIAN),
    Architecture("mips64", 8 | _64BIT),
    Architecture("mipsel64", 8 | _64BIT | _LITTLE_ENDIAN),
    Architecture("mips64n32", 8 | _64BIT | _MIPS64_N32),
    Architecture("mipsel64n32", 8 | _64BIT | _LITTLE_ENDIAN | _MIPS64_N32),
    Architecture("m68k", 4),
    Architecture("parisc", 15),
    Architecture("parisc64", 15 | _64BIT),
    Architecture("sparc", 2),
    Architecture("sparc64", 43 | _64BIT),
)
"""Every architecture with an AUDIT_ARCH_* number of its own; x32 has none and is `X32`."""

# What uname says, for the 64-bit programs that can run there. Under `setarch` (personality PER_LINUX32) uname names
# the 32-bit machine to 64-bit programs too.
_NATIVE = {
    "x86_64": X86_64,
    "i386": X86_64,
    "i486": X86_64,
    "i586": X86_64,
    "i686": X86_64,
    "aarch64": AARCH64,
    "armv8l": AARCH64,
    "riscv64": RISCV64,
}


def native() -> NativeArchitecture:
    """The architecture of this process's own system calls.

    Raises BackendError where it is none that we trace on, a 32-bit Python on a 64-bit kernel included: that one makes
    the calls of i386, x32 or arm, although uname says x86_64 or aarch64.
    """
    machine = uname().machine
    if sys.maxsize < 2**32:
        raise BackendError(f"cannot trace from a 32-bit Python (machine {machine})", "run pytest with a 64-bit Python")
    architecture = _NATIVE.get(machine)
    if architecture is None:
        raise BackendError(f"cannot trace on machine {machine}", "x86_64, aarch64 and riscv64 are supported")
    return architecture
