"""Which system calls a signal can interrupt: those that wait for something that may never come.

All others give EINTR only where something stands before them, as a supervisor does until it has received the call.

Sources: signal(7), "Interruption of system calls and library functions by signal handlers"; the manual pages of the
calls; kernel/futex/syscalls.c, drivers/tty/tty_ioctl.c, fs/fcntl.c.
"""

import os
import stat
import sys
from collections.abc import Sequence

from pytest_seccomp.linux import memory, syscalls

_WAITING = frozenset(
    (
        "_newselect", "accept", "accept4", "add_key", "clock_nanosleep", "clock_nanosleep_time64",
        "copy_file_range", "creat", "epoll_pwait", "epoll_pwait2", "epoll_wait", "flock", "futex_wait", "futex_waitv",
        "getrandom", "io_getevents", "io_pgetevents", "io_pgetevents_time64", "io_uring_enter", "ipc", "keyctl",
        "mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64", "msgrcv", "msgsnd",
        "nanosleep", "openat2", "pause", "poll", "ppoll", "ppoll_time64", "pselect6", "pselect6_time64", "recv",
        "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "request_key", "restart_syscall", "rt_sigsuspend",
        "rt_sigtimedwait", "rt_sigtimedwait_time64", "select", "semop", "semtimedop", "semtimedop_time64", "send",
        "sendfile", "sendfile64", "sendmmsg", "sendmsg", "sendto", "sigsuspend", "socketcall", "splice", "syslog",
        "tee", "vmsplice", "wait4", "waitid", "waitpid",
    )
)  # fmt: skip
_TRANSFERS = frozenset(
    ("pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read", "readv", "write", "writev")
)

_LOCKING = (7, 14, 38)  # F_SETLKW; F_SETLKW64, of 32 bits; F_OFD_SETLKW
_FUTEX_COMMAND = 0x7F  # without FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME
_FUTEX_WAITING = (0, 9)
"""FUTEX_WAIT and FUTEX_WAIT_BITSET. _LOCK_PI and the like wait, too, but then the kernel makes them again by itself."""
_ASKING = (0x5401, 0x540F, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""Commands of ioctl that ask or set and do not wait: TCGETS, TIOCGPGRP, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX,
FIOCLEX."""

_INTERNET = (2, 10)  # AF_INET, AF_INET6
_INODE = 9  # column of /proc/PID/net/tcp (proc_pid_net(5))

_AT_FDCWD = 0xFFFFFF9C
_HALF = 0xFFFFFFFF


def may_wait(tid: int, audit_arch: int, number: int, arguments: Sequence[int]) -> bool:
    """Whether the kernel itself may let a signal interrupt this call of a stopped thread. In doubt it may."""
    name = syscalls.name_of(audit_arch, number)
    match name:
        case "futex" | "futex_time64":
            return arguments[1] & _FUTEX_COMMAND in _FUTEX_WAITING
        case "fcntl" | "fcntl64":
            return arguments[1] & _HALF in _LOCKING
        case "ioctl":
            return arguments[1] & _HALF not in _ASKING
        case "connect":
            return _may_be_connecting(tid, arguments[0] & _HALF, arguments[1])
        case "openat":
            return _other_end_may_be_waited_for(tid, arguments[0] & _HALF, arguments[1])
        case "open":
            return _other_end_may_be_waited_for(tid, _AT_FDCWD, arguments[0])
        case _ if name in _TRANSFERS:
            return not _is_plain(f"/proc/{tid}/fd/{arguments[0] & _HALF}")
    return name is None or name in _WAITING


def _other_end_may_be_waited_for(tid: int, folder: int, address: int) -> bool:
    """Of a file that is opened by its path: not that of a FIFO, or a device."""
    try:
        path = os.fsdecode(memory.read_string(tid, address))
    except OSError:
        return True
    start = "root" if path.startswith("/") else "cwd" if folder == _AT_FDCWD else f"fd/{folder}"
    path = f"/proc/{tid}/{start}/{path}"
    return os.path.exists(path) and not _is_plain(path)


def _may_be_connecting(tid: int, descriptor: int, address: int) -> bool:
    """Of a socket, whether its connection has been begun. Programs take EINTR for that, Python too: they wait until the
    socket is writable then, which one without a connection is. TCP sockets are in the kernel's list from the first
    packet on; of others, but for UDP, which does not wait, it cannot be told."""
    try:
        if int.from_bytes(memory.read(tid, address, 2), sys.byteorder) not in _INTERNET:
            return True
        inode = str(os.stat(f"/proc/{tid}/fd/{descriptor}").st_ino)
        for table in ("tcp", "tcp6"):
            with open(f"/proc/{tid}/net/{table}", encoding="ascii") as lines:
                if any(line.split()[_INODE] == inode for line in lines):
                    return True
    except FileNotFoundError:
        return False  # a kernel without IPv6
    except OSError:
        return True
    return False


def _is_plain(path: str) -> bool:
    """Whether it is a directory, or a file with its content on a file system: what the kernel makes up, in /proc and
    the like, has a size of 0, and may be waited for."""
    try:
        found = os.stat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_size > 0)
