"""Words of memory that processes share: one makes them, and hands their descriptor to another.

Sources: memfd_create(2), mmap(2).
"""

import ctypes
import errno
import mmap
import os

from pytest_seccomp.linux import raw
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.raw import Word

_SIZE = 8
"""Bytes of a word."""
Words = ctypes.Array[ctypes.c_uint64]

_NAME = ctypes.create_string_buffer(b"seccomp-words")
_MFD_CLOEXEC, _MFD_NOEXEC_SEAL = 1, 8

_mmap = raw.function("mmap")


def create(count: int) -> int:
    """Make so many words, all of them 0, and return their descriptor. They are there as long as somebody has it, or has
    mapped them. Raises OSError."""
    try:
        # Where sysctl vm.memfd_noexec is 2, this has to be said (Linux 6.3)
        descriptor = _create(_MFD_CLOEXEC | _MFD_NOEXEC_SEAL)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        descriptor = _create(_MFD_CLOEXEC)
    try:
        os.ftruncate(descriptor, count * _SIZE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _create(flags: int) -> int:
    # A Python that was built for an old C library has no os.memfd_create
    return raw.syscall("memfd_create", native().memfd_create, _NAME, flags)


def mapped(descriptor: int, count: int) -> Words:
    """The first of them in this process's memory, to be read and set by it and whom it forks, until they end. It takes
    no descriptor, as mmap.mmap does. Raises OSError."""
    length, access = Word(count * _SIZE), Word(mmap.PROT_READ | mmap.PROT_WRITE)
    address: int = _mmap(None, length, access, Word(mmap.MAP_SHARED), Word(descriptor), Word(0))
    if address == -1:
        raise raw.last_error("mmap")
    return (ctypes.c_uint64 * count).from_address(address)
