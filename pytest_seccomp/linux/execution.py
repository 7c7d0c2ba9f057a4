"""execve(2) over several paths, for arguments of any kind: os.execve refuses an empty first one, the kernel does not;
and the environment that a program inherits.

Sources: execve(2), environ(7).
"""

import ctypes
import errno
import os
from collections.abc import Sequence
from typing import NoReturn

_libc = ctypes.CDLL(None, use_errno=True)


def _strings(texts: Sequence[bytes]) -> "ctypes.Array[ctypes.c_char_p]":
    return (ctypes.c_char_p * (len(texts) + 1))(*texts, None)


def environment() -> list[bytes]:
    """What a program that is started now inherits. os.environ does not have what code in C has changed: `import
    readline` alone sets COLUMNS and LINES."""
    environ = ctypes.c_void_p.in_dll(_libc, "environ")
    if environ.value is None:
        return []
    texts = ctypes.cast(environ, ctypes.POINTER(ctypes.c_char_p))
    found: list[bytes] = []
    while (text := texts[len(found)]) is not None:
        found.append(text)
    return found


class Execution:
    """An execve(2) of which all is ready, so that no other call is between what precedes it and itself."""

    __slots__ = ("_arguments", "_execve")

    def __init__(self, path: bytes, arguments: Sequence[bytes], environment: Sequence[bytes]) -> None:
        self._execve = ctypes.PyDLL(None, use_errno=True).execve  # keeps the GIL: to take it back may be a futex
        self._arguments = ctypes.c_char_p(path), _strings(arguments), _strings(environment)

    def make(self) -> OSError:
        """Become the program; returns why that cannot be."""
        self._execve(*self._arguments)
        code = ctypes.get_errno()
        return OSError(code, os.strerror(code))


def execute(paths: Sequence[bytes], arguments: Sequence[bytes], environment: Sequence[bytes]) -> NoReturn:
    """Become the program at the first of these paths where there is one.

    OSError: the first error other than that there is none (ENOENT, ENOTDIR), as from subprocess, else the last.
    """
    argv, envp = _strings(arguments), _strings(environment)
    code = errno.ENOENT
    found = 0
    for path in paths:
        _libc.execve(path, argv, envp)
        code = ctypes.get_errno()
        if code not in (errno.ENOENT, errno.ENOTDIR) and not found:
            found = code
    raise OSError(found or code, os.strerror(found or code))
