"""seccomp(2): filters, the flags this kernel knows, and the instructions that filters are made of.

Sources: seccomp(2), include/uapi/linux/seccomp.h, include/uapi/linux/filter.h.
"""

import ctypes
import errno
import struct

from pytest_seccomp.linux import raw
from pytest_seccomp.linux.architecture import native

SET_MODE_FILTER = 1

FLAG_SPEC_ALLOW = 4
FLAG_NEW_LISTENER = 8
FLAG_WAIT_KILLABLE_RECV = 32

RET_ALLOW = 0x7FFF0000
RET_LOG = 0x7FFC0000
RET_USER_NOTIF = 0x7FC00000

# Offsets in struct seccomp_data
OFFSET_NUMBER = 0
OFFSET_ARCH = 4
OFFSET_ARGUMENTS = 16

_LD_W_ABS = 0x20
_JMP_JEQ_K = 0x15
_RET_K = 0x06
_PR_SET_NO_NEW_PRIVS = 38


class FilterProgram(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]

    def __init__(self, code: bytes) -> None:
        super().__init__(len(code) // 8, code)


def load(offset: int) -> bytes:
    """Load 32 bits of struct seccomp_data."""
    return struct.pack("=HBBI", _LD_W_ABS, 0, 0, offset)


def argument(index: int) -> tuple[int, int]:
    """The offsets of the low and the high 32 bits of an argument (0 to 5) on a little-endian machine."""
    offset = OFFSET_ARGUMENTS + 8 * index
    return offset, offset + 4


def unless_equal(value: int, skip: int) -> bytes:
    """Go on if what was loaded is `value`, else skip that many instructions (0 to 255)."""
    return struct.pack("=HBBI", _JMP_JEQ_K, 0, skip, value & 0xFFFFFFFF)


def verdict(action: int) -> bytes:
    """End the filter with an action, one of RET_*."""
    return struct.pack("=HBBI", _RET_K, 0, 0, action)


def flag_is_known(flag: int) -> bool:
    """Whether this kernel knows a flag for filters with a listener. Nothing is installed: without a program a known
    flag fails with EFAULT, an unknown one with EINVAL (seccomp(2)), as does WAIT_KILLABLE_RECV without NEW_LISTENER."""
    try:
        raw.syscall("seccomp", native().seccomp, SET_MODE_FILTER, flag | FLAG_NEW_LISTENER, None)
    except OSError as error:
        return error.errno == errno.EFAULT
    return False


def install(code: bytes) -> None:
    """Put the calling thread, and all that it starts from now on, under a filter without a listener. Raises OSError:
    EACCES without no_new_privs and CAP_SYS_ADMIN."""
    program = ctypes.byref(FilterProgram(code))
    # Without SPEC_ALLOW, kernels before 5.16 slow every filtered thread down by their defences against Spectre
    flags = FLAG_SPEC_ALLOW if flag_is_known(FLAG_SPEC_ALLOW) else 0
    raw.syscall("seccomp", native().seccomp, SET_MODE_FILTER, flags, program)


def set_no_new_privs() -> None:
    """Give up, for this thread and all that it starts, to gain privileges by execve (prctl(2)). Raises OSError."""
    raw.syscall("prctl", native().prctl, _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
