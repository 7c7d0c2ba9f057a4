"""Names of system calls, and their numbers, on every architecture.

A number means something only together with its architecture. Names are the kernel's own (`newfstatat`, `_llseek`,
`arm_fadvise64_64`), which are libseccomp's too. They come from `syscalls.txt` beside this file, and what that does not
have, a call of a newer kernel or of another architecture, from libseccomp. In this order, because the two agree where
both know a call, and because `import pyseccomp` costs 40 ms and starts two processes (`ldconfig`, to find the library):
few runs ever need it.

x32 has no AUDIT_ARCH_* of its own: its calls come under that of x86_64 with the bit 0x40000000 in their number. They
keep that number here, as in libseccomp, in audit records and in a filter's data; `identify` gives them the architecture
"x32".
"""

import re
from functools import cache, lru_cache
from importlib import import_module, resources
from typing import Any, NamedTuple

from pytest_seccomp.linux.architecture import ARCHITECTURES, X32, X32_BIT, X86_64

_NUMBER_LIMIT = 2**31  # the kernel keeps the number in an int: what is beyond is negative and no call (ENOSYS)
_LIBSECCOMP_X32 = 62 | 0x40000000  # SCMP_ARCH_X32, EM_X86_64 without the bit for 64: known to libseccomp alone

_AUDIT_ARCH = {architecture.name: architecture.audit_arch for architecture in (*ARCHITECTURES, X32)}
_NAME = {architecture.audit_arch: architecture.name for architecture in ARCHITECTURES}


class SystemCall(NamedTuple):
    """A system call as a user sees it."""

    arch: str
    """The architecture's name, "x32" included; "0x%08x" of its AUDIT_ARCH_* number where it has no name here."""
    number: int
    """As the kernel reports it, so with the bit 0x40000000 on x32."""
    name: str | None
    """None where nobody knows the number."""


def identify(audit_arch: int, number: int) -> SystemCall:
    """The call that the kernel reports as (AUDIT_ARCH_*, number)."""
    arch = X32.name if _is_x32(audit_arch, number) else arch_name(audit_arch)
    return SystemCall(arch, number, name_of(audit_arch, number))


def name_of(audit_arch: int, number: int) -> str | None:
    """The name of a call, x32 included, or None where nobody knows it. Negative numbers have no name."""
    name = _table().get(audit_arch, {}).get(number)
    return _libseccomp_name(audit_arch, number) if name is None else name


def arch_name(audit_arch: int) -> str:
    """The name of an AUDIT_ARCH_* number, "0x%08x" where it has none. x32 shows only in the number: see `identify`."""
    return _NAME.get(audit_arch) or f"0x{audit_arch:08x}"


def audit_arch_of(arch: str) -> int:
    """The AUDIT_ARCH_* number of a name that `arch_name` or `identify` gave; ValueError for any other text."""
    known = _AUDIT_ARCH.get(arch)
    if known is not None:
        return known
    if re.fullmatch("0x[0-9a-f]{8}", arch):
        return int(arch, 16)
    raise ValueError(f"unknown architecture {arch!r}")


def numbers_of(name: str, audit_arch: int) -> tuple[int, ...]:
    """The numbers of a call, ascending: with x86_64's that of x32; none where the architecture has no such call."""
    return _numbers(audit_arch).get(name) or _libseccomp_numbers(name, audit_arch)


@cache
def all_names(audit_arch: int | None = None) -> frozenset[str]:
    """The names in the table of one architecture, or of all. libseccomp cannot list its own, so that an architecture
    that only libseccomp knows has none here.
    """
    if audit_arch is None:
        return frozenset().union(*(calls.values() for calls in _table().values()))
    return frozenset(_table().get(audit_arch, {}).values())


def _is_x32(audit_arch: int, number: int) -> bool:
    return audit_arch == X86_64.audit_arch and X32_BIT <= number < _NUMBER_LIMIT


@cache
def _table() -> dict[int, dict[int, str]]:
    """The names of `syscalls.txt` by AUDIT_ARCH_* and number."""
    text = resources.files("pytest_seccomp.linux").joinpath("syscalls.txt").read_text(encoding="ascii")
    header, *rows = (line.split() for line in text.splitlines() if not line.startswith("#"))
    table: dict[int, dict[int, str]] = {}
    for column, arch in enumerate(header[1:], start=1):
        bit = X32_BIT if arch == X32.name else 0
        calls = table.setdefault(_AUDIT_ARCH[arch], {})
        calls.update((int(row[column]) | bit, row[0]) for row in rows if row[column] != "-")
    return table


@cache
def _numbers(audit_arch: int) -> dict[str, tuple[int, ...]]:
    """The table of one AUDIT_ARCH_* the other way round."""
    numbers: dict[str, tuple[int, ...]] = {}
    for number, name in sorted(_table().get(audit_arch, {}).items()):
        numbers[name] = (*numbers.get(name, ()), number)
    return numbers


@cache
def _libseccomp() -> Any:
    """The module pyseccomp, or None where libseccomp is missing: names then come from our table alone."""
    try:
        return import_module("pyseccomp")
    except (ImportError, OSError, RuntimeError):  # RuntimeError: pyseccomp without libseccomp.so.2
        return None


@lru_cache(maxsize=4096)  # bounded, because a program can make up any number of unknown calls
def _libseccomp_name(audit_arch: int, number: int) -> str | None:
    # An architecture 0 is "the native one" to libseccomp, and negative numbers are its own pseudo calls.
    if audit_arch not in _NAME or not 0 <= number < _NUMBER_LIMIT or (libseccomp := _libseccomp()) is None:
        return None
    try:
        name: bytes = libseccomp.resolve_syscall(_LIBSECCOMP_X32 if _is_x32(audit_arch, number) else audit_arch, number)
    except ValueError:
        return None
    return name.decode("ascii")


def _libseccomp_numbers(name: str, audit_arch: int) -> tuple[int, ...]:
    if audit_arch not in _NAME or (libseccomp := _libseccomp()) is None:
        return ()
    tokens = (audit_arch, _LIBSECCOMP_X32) if audit_arch == X86_64.audit_arch else (audit_arch,)
    numbers = (int(libseccomp.resolve_syscall(token, name)) for token in tokens)
    return tuple(sorted(number for number in numbers if number >= 0))  # below 0: unknown, or not on this architecture
