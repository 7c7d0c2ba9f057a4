"""A 32-bit x86 program made byte by byte: a caller of i386 system calls that needs no compiler and no 32-bit library.

The file format is that of elf(5): one header, one segment that holds everything, and the code.
"""

import struct
from pathlib import Path

LOAD_ADDRESS = 0x08048000
HEADERS = 52 + 32  # bytes of Elf32_Ehdr and one Elf32_Phdr
EXIT = 1  # number of exit on i386


def program(calls: list[int]) -> bytes:
    """Return an executable that makes each of the i386 system calls `calls` once, all arguments 0, and then exit(0)."""
    return executable(3, b"".join(_call(number) for number in [*calls, EXIT]))


def executable(machine: int, code: bytes, flags: int = 0, mode: int = 0) -> bytes:
    """An executable of 32 bits for a machine (EM_*); `mode` is added to the address at which it begins."""
    size = HEADERS + len(code)
    identity = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")  # 32 bits, little endian, version 1
    kind, version = 2, 1
    entry, programs, sections = LOAD_ADDRESS + HEADERS + mode, 52, 0
    header = struct.pack("<HHIIIIIHHHHHH", kind, machine, version, entry, programs, sections, flags, 52, 32, 1, 0, 0, 0)
    load, offset, read_execute, align = 1, 0, 5, 0x1000
    segment = struct.pack("<8I", load, offset, LOAD_ADDRESS, LOAD_ADDRESS, size, size, read_execute, align)
    return identity + header + segment + code


def write_program(path: Path, calls: list[int]) -> Path:
    """Write the program for `calls` to `path`, make it executable, and return `path`."""
    path.write_bytes(program(calls))
    path.chmod(0o755)
    return path


def _call(number: int) -> bytes:
    clear = b"\x31\xdb\x31\xc9\x31\xd2\x31\xf6\x31\xff\x31\xed"  # xor ebx, ecx, edx, esi, edi, ebp: all arguments 0
    return clear + b"\xb8" + struct.pack("<I", number) + b"\xcd\x80"  # mov eax, number; int 0x80
