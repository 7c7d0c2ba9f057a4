"""The length of a tests file, or of a deny log: its first line says how many others there are, so that it shows when
some are missing.

The line comes first and the number is known last. So there is room in it for any number, and it is written anew.
"""

import os
from collections.abc import Mapping
from json import dumps, loads
from typing import Any, BinaryIO

from pytest_seccomp.trace.members import natural

_CHUNK = 1024 * 1024


def with_lines(members: Mapping[str, Any], lines: int) -> str:
    """A line, newline included, that says at its end how many follow; as long for any number of lines."""
    return f'{dumps(members)[:-1]}, "lines": {lines:10}}}\n'


def lines_in(members: Mapping[str, Any]) -> int | None:
    """How many lines follow, at least, as a line says; None where it does not. Raises ValueError."""
    return natural(members, "lines") if "lines" in members else None


def say_lines(file: BinaryIO, lines: int) -> None:
    """Have the first line of a tests file, which is open for reading and writing, say that so many follow."""
    file.seek(0)
    first = file.readline()
    members = loads(first)
    members.pop("lines", None)
    rewrite(file, 0, len(first), with_lines(members, lines).encode("ascii"))


def rewrite(file: BinaryIO, start: int, length: int, line: bytes) -> None:
    """Put a line in place of the one of `length` bytes at `start`, in flat memory; the file is at its end then."""
    if len(line) != length:
        _move_rest(file, start + length, len(line) - length)
    file.seek(start)
    file.write(line)
    file.seek(0, os.SEEK_END)


def _move_rest(file: BinaryIO, begin: int, distance: int) -> None:
    """Move all from `begin` to the end of a file by some bytes."""
    size = file.seek(0, os.SEEK_END)
    offsets = range(begin, size, _CHUNK)
    for offset in reversed(offsets) if distance > 0 else offsets:
        file.seek(offset)
        chunk = file.read(_CHUNK)
        file.seek(offset + distance)
        file.write(chunk)
    file.truncate(size + distance)
