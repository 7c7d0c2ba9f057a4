"""syscall(2) through the C library: calls that Python has no function for, and calls that need a bare argument list."""

from __future__ import annotations

import ctypes
import errno
import os

TYPE_CHECKING = False  # of typing, which costs the self-check of `notify` 6 ms

# PyDLL keeps the GIL: giving it up and taking it back may be a futex, which would be a system call of our own in the
# trace of a test. The functions are looked up anew for each user because `restype` belongs to the function object.
_libc = ctypes.PyDLL(None, use_errno=True)

Word = ctypes.c_ulong
"""An argument as wide as a register: ctypes cuts plain integers to 32 bits."""


if TYPE_CHECKING:
    from collections.abc import Callable
    from ctypes import _CArgObject
    from typing import Any

    Reference = _CArgObject  # what ctypes.byref gives


def function(name: str = "syscall") -> Any:
    """A new, independent foreign function of the C library; it returns a C long, and -1 leaves errno behind."""
    found = _libc[name]
    found.restype = ctypes.c_long
    return found


_syscall: Callable[..., int] = function()


def last_error(call: str) -> OSError:
    """The OSError for the call that has just returned -1; `call` becomes its file name, to be read in messages."""
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), call)


def syscall(name: str, number: int, *arguments: int | ctypes.Array[ctypes.c_char] | Reference | None) -> int:
    """Make the system call `number` with up to six arguments and return its result, never negative.

    `name` is what an error is called by. Interrupted calls (EINTR) are not made again. Raises OSError.
    """
    words = [Word(a) if isinstance(a, int) else a for a in arguments]
    result = _syscall(Word(number), *words)
    if result < 0:
        raise last_error(name)
    return result


def interrupted(error: OSError) -> bool:
    """Whether a signal ended the call before it did anything."""
    return error.errno == errno.EINTR
