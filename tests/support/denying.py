"""For programs that watch what they are denied: children that are denied calls and end at once, made in milliseconds.

A program runs without this folder on its path: `import sys; sys.path.append(FOLDER)` comes first.
"""

import ctypes
import os
import resource
import struct
import sys
from pathlib import Path

from logged import ERRNO, FLAG_LOG, SECCOMP, new_number

FOLDER = str(Path(__file__).parent)

_libc = ctypes.CDLL(None, use_errno=True)


def install(verdict: int, number: int, flags: int = FLAG_LOG) -> None:
    """Put this thread under a filter that answers one number so, and allows all others."""
    instructions = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, verdict), (0x06, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(instructions), ctypes.addressof(code)))
    one, zero = ctypes.c_ulong(1), ctypes.c_ulong(0)
    words = ctypes.c_ulong(SECCOMP[os.uname().machine]), one, ctypes.c_ulong(flags)
    if _libc.prctl(38, one, zero, zero, zero) or _libc.syscall(*words, program):
        raise OSError(ctypes.get_errno(), "no filter")


_UNDER_A_FILTER = (
    "import os, sys; sys.path.append(sys.argv[1])\n"
    "import denying\n"
    "denying.install(int(sys.argv[2]), int(sys.argv[3]), 0)\n"
    "os.execvp(sys.argv[4], sys.argv[4:])"
)


def denied(number: int, verdict: int) -> list[str]:
    """The command that runs another under a filter which answers a call so."""
    return [sys.executable, "-I", "-c", _UNDER_A_FILTER, FOLDER, str(verdict), str(number)]


def call(number: int, times: int = 1) -> None:
    """Make calls."""
    for _ in range(times):
        _libc.syscall(ctypes.c_ulong(number))


def child(
    verdict: int = ERRNO | 1, *, times: int = 1, name: str = "", number: int | None = None, generation: int = 1
) -> tuple[int, int]:
    """A child, or a descendant of a later generation, is denied `times` calls and ends at once. Returns its pid and the
    number, when it has ended."""
    number = new_number() if number is None else number
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            if generation > 1:
                pid, _ = child(verdict, times=times, name=name, number=number, generation=generation - 1)
                os.write(writing, str(pid).encode())
                os._exit(0)
            os.write(writing, str(os.getpid()).encode())
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if name:
                Path("/proc/self/comm").write_text(name, encoding="utf-8")
            install(verdict, number)
            call(number, times)
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as file:
        denied = int(file.read())
    os.waitpid(pid, 0)
    return denied, number
