"""What the kernel makes of a filter: verdicts on any number of calls, none of which is carried out.

A process has a filter for good, and calls that are let through could do anything. So the filter is put on a child, with
each of its verdicts replaced by an error of its own: the calls come back with these, the child lives, and the verdicts
are known from the errors. The child makes the calls under test from one page of code of its own, and only calls from
there meet the filter. x86-64 alone.
"""

import json
import struct
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import dedent

I386 = 0x40000003
X86_64 = 0xC000003E
_RETURN = 0x06
_ERRNO = 0x00050000
UNFILTERED = {335, 336}
"""Numbers on x86-64, uretprobe and uprobe: the kernel makes these calls without asking a filter (seccomp.c)."""
_FIRST = 3000  # the kernel's own errors are lower

_HELPER = r"""
    import ctypes, json, mmap, os, struct, sys

    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    # number, then the arguments, from where functions have theirs to where calls have them
    long = bytes.fromhex("4889f8 4889f7 4889d6 4889ca 4d89c2 4d89c8 4c8b4c2408 0f05 c3")
    compat = bytes.fromhex("53 55 89f8 89f3 87d1 4489c6 4489cf 8b6c2418 cd80 5d 5b c3")
    page[: len(long)] = long
    page[64 : 64 + len(compat)] = compat
    at = [address + len(long) - 1, address + 64 + len(compat) - 3]  # of the instruction behind the call
    words = [ctypes.c_ulong] * 7
    call = {
        0xC000003E: ctypes.CFUNCTYPE(ctypes.c_int, *words)(address),
        0x40000003: ctypes.CFUNCTYPE(ctypes.c_int, *words)(address + 64),
    }
    libc = ctypes.CDLL(None, use_errno=True)

    def judge(program, calls):
        first, second = (address & 0xFFFFFFFF for address in at)
        ours = [(0x20, 0, 0, 8), (0x15, 2, 0, first), (0x15, 1, 0, second), (6, 0, 0, 0x7FFF0000)]
        code = b"".join(struct.pack("=HBBI", *one) for one in ours) + program
        buffer = ctypes.create_string_buffer(code, len(code))
        filter = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
        if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, filter):
            return "no filter: " + os.strerror(ctypes.get_errno())
        return [-call[arch](number, *arguments) for arch, number, arguments in calls]

    for line in sys.stdin:
        program, calls = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            try:
                result = judge(bytes.fromhex(program), calls)
            except BaseException as error:
                result = repr(error)
            with open(writing, "w") as file:
                json.dump(result, file)
            os._exit(0)
        os.close(writing)
        with open(reading) as file:
            result = file.read()
        _, status = os.waitpid(child, 0)
        print(result or json.dumps(f"the child ended with status {status}"), flush=True)
"""


@dataclass(slots=True, frozen=True)
class Call:
    """A call as a filter sees it."""

    arch: int
    """I386 or X86_64, AUDIT_ARCH_*."""
    number: int
    arguments: tuple[int, int, int, int, int, int] = (0, 0, 0, 0, 0, 0)

    @property
    def data(self) -> bytes:
        """struct seccomp_data."""
        return struct.pack("=IIQ6Q", self.number, self.arch, 0, *self.arguments)


class Kernel:
    """The helper whose children carry the filters."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", dedent(_HELPER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def verdicts(self, program: bytes, calls: Iterable[Call]) -> list[int]:
        """What the filter returns for each call."""
        instructions = list(struct.iter_unpack("=HBBI", program))
        verdicts = sorted({k for code, _, _, k in instructions if code == _RETURN})
        errors = {verdict: error for error, verdict in enumerate(verdicts, start=_FIRST)}
        told_apart = b"".join(
            struct.pack("=HBBI", code, if_true, if_false, _ERRNO | errors[k] if code == _RETURN else k)
            for code, if_true, if_false, k in instructions
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        made = [(call.arch, call.number, call.arguments) for call in calls]
        self._process.stdin.write(json.dumps([told_apart.hex(), made]) + "\n")
        self._process.stdin.flush()
        found = json.loads(self._process.stdout.readline())
        assert isinstance(found, list), found
        assert {*found} <= {*errors.values()}, "a call was carried out"
        return [verdicts[error - _FIRST] for error in found]

    def close(self) -> None:
        """End the helper."""
        assert self._process.stdout is not None
        self._process.communicate()
