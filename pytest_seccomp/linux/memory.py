"""The memory of another process, through /proc/PID/mem: needs the permission to ptrace it.

Nothing stops the process meanwhile. What is read is only as good as what is known of its threads: one that waits for
its answer from a supervisor has not gone on if it still waits afterwards, the others may have written.
Source: proc_pid_mem(5).
"""

import errno
import os

PATH_MAX = 4096
"""Bytes of the longest path that the kernel takes, with the NUL at its end (include/uapi/linux/limits.h)."""


def read(tid: int, address: int, length: int) -> bytes:
    """Exactly `length` bytes of the process of a thread. Raises OSError: EFAULT where not all of them are there, EACCES
    or EPERM where it is not permitted, ENOENT or ESRCH where the process has ended."""
    data = _read(tid, address, length)
    if len(data) < length:
        raise _error(errno.EFAULT, tid)
    return data


def read_string(tid: int, address: int, limit: int = PATH_MAX) -> bytes:
    """The bytes before the first NUL. Raises OSError as `read` does, and ENAMETOOLONG where there is none among `limit`
    bytes: as the kernel does for paths."""
    data = _read(tid, address, limit)
    string, end, _ = data.partition(b"\0")
    if not end:
        raise _error(errno.ENAMETOOLONG if len(data) == limit else errno.EFAULT, tid)
    return string


def write(tid: int, address: int, data: bytes) -> None:
    """Write into the process of a thread. Raises OSError as `read` does."""
    descriptor = os.open(f"/proc/{tid}/mem", os.O_WRONLY | os.O_CLOEXEC)
    try:
        if os.pwrite(descriptor, data, address) < len(data):
            raise _error(errno.EFAULT, tid)
    finally:
        os.close(descriptor)


def _read(tid: int, address: int, length: int) -> bytes:
    """As many of the bytes as are there without a gap."""
    descriptor = os.open(f"/proc/{tid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.pread(descriptor, length, address)
    except OverflowError:
        raise _error(errno.EFAULT, tid) from None  # beyond all user space
    except OSError as error:
        # EIO: nothing is there; EINVAL, EOVERFLOW: nothing can be
        if error.errno in (errno.EIO, errno.EINVAL, errno.EOVERFLOW):
            raise _error(errno.EFAULT, tid) from None
        raise
    finally:
        os.close(descriptor)
    if length and not data:
        raise _error(errno.ESRCH, tid)  # the memory went with the process
    return data


def _error(number: int, tid: int) -> OSError:
    return OSError(number, os.strerror(number), f"/proc/{tid}/mem")
