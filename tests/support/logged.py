"""A process whose calls its own seccomp filter answers, for tests of what the kernel's log says of it.

The filter looks at one number and allows all others, so that the log has what the test asked for and no more. By
default that is a number which no system call has, and which nobody else uses: it tells our records from those of other
processes.
"""

import platform
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SECCOMP = {"x86_64": 317, "aarch64": 277}
EXIT_GROUP = {"x86_64": 231, "aarch64": 94}

FLAG_LOG = 2
KILL_PROCESS, KILL_THREAD, TRAP, ERRNO = 0x80000000, 0, 0x30000, 0x50000
USER_NOTIF, TRACE, LOG = 0x7FC00000, 0x7FF00000, 0x7FFC0000

ROOM = 512 << 20
"""Bytes of a reader's buffer. A test reads nothing while its child runs, and another beside it may be logged a hundred
thousand calls meanwhile, for which the product's own, of an eighth, has no room."""

_PROGRAM = """
import ctypes, os, resource, struct, sys
seccomp, flags, verdict, number, calls = [ctypes.c_ulong(int(argument)) for argument in sys.argv[1:6]]
name, executable = os.fsencode(sys.argv[6]), sys.argv[7]
if name:
    with open("/proc/self/comm", "wb") as file:
        file.write(name)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
libc = ctypes.CDLL(None, use_errno=True)
instructions = [(0x20, 0, 0, 0), (0x15, 0, 1, number.value), (0x06, 0, 0, verdict.value), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(instructions), ctypes.addressof(code)))
zero, one = ctypes.c_ulong(0), ctypes.c_ulong(1)
if libc.prctl(38, one, zero, zero, zero) or libc.syscall(seccomp, one, flags, program):
    raise OSError(ctypes.get_errno(), "no filter")
if executable:
    os.execv(executable, ["true"])
for _ in range(calls.value):
    libc.syscall(number)
"""


@dataclass(frozen=True, slots=True)
class Logged:
    """A process that has ended. `status` is as subprocess has it: negative where a signal ended it."""

    pid: int
    number: int
    status: int


def new_number() -> int:
    """A number that no system call has, drawn at random."""
    return 0x20000000 + random.SystemRandom().randrange(0x10000000)


def command(
    verdict: int = LOG,
    *,
    number: int,
    flags: int = FLAG_LOG,
    calls: int = 1,
    name: str = "",
    executable: Path | None = None,
) -> list[str]:
    """The command line of a process that makes `calls` calls of `number`, or of one that becomes `executable`."""
    arguments = [SECCOMP[platform.machine()], flags, verdict, number, calls, name, executable or ""]
    return [sys.executable, "-I", "-S", "-c", _PROGRAM, *map(str, arguments)]


def by_a_grandchild(child: list[str]) -> list[str]:
    """The command line of a process that has another one run by a child of its own, and ends after it."""
    return ["sh", "-c", '"$@"; true', "sh", *child]


def start(
    verdict: int = LOG,
    *,
    number: int | None = None,
    flags: int = FLAG_LOG,
    calls: int = 1,
    name: str = "",
    executable: Path | None = None,
) -> tuple["subprocess.Popen[bytes]", int]:
    """Start such a process. Returns it, and the number."""
    number = new_number() if number is None else number
    argv = command(verdict, number=number, flags=flags, calls=calls, name=name, executable=executable)
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL), number


def run(
    verdict: int = LOG,
    *,
    number: int | None = None,
    flags: int = FLAG_LOG,
    calls: int = 1,
    name: str = "",
    executable: Path | None = None,
) -> Logged:
    """The same, to its end."""
    child, number = start(verdict, number=number, flags=flags, calls=calls, name=name, executable=executable)
    return Logged(child.pid, number, child.wait(60))
