"""bpf(2): maps, programs with the verifier's log in their errors, raw tracepoints, and finding them by their ids.

What is made here is a descriptor each, and is gone with the last copy of it: a program is attached as long as somebody
has its link. All of them are close-on-exec. Needs CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN before Linux 5.8.
Sources: bpf(2), include/uapi/linux/bpf.h.
"""

import ctypes
import errno
import os
import struct

from pytest_seccomp.linux import raw
from pytest_seccomp.linux.architecture import native

HASH = 1
ARRAY = 2
MMAPABLE = 1 << 10
"""Flag of an array whose values can be mapped into memory (Linux 5.5), as `shared_words` does."""

ANY = 0
NOEXIST = 1
"""Flags of an update: whether there may be such a key already."""

RAW_TRACEPOINT = 17
"""Type of a program that runs at a tracepoint and gets the tracepoint's own arguments, of 64 bits each."""

LICENSE = b"Dual MIT/GPL"
"""What programs are loaded under: the kernel has helpers for those alone that are free in the sense of the GPL."""

_MAP_CREATE, _MAP_LOOKUP, _MAP_UPDATE, _MAP_DELETE, _MAP_NEXT_KEY, _PROG_LOAD = range(6)
_PROG_BY_ID, _MAP_BY_ID, _INFO_BY_FD = 13, 14, 15
_RAW_TRACEPOINT_OPEN = 17
_LINK_BY_ID = 30

_ATTRIBUTE_LENGTH = 128
_NAME_LENGTH = 15
_LOG_LENGTH = 1 << 18

# In struct bpf_prog_info, bpf_map_info and bpf_link_info, the last but one of a link, the last of a program
_INFO_LENGTH = 256
_INFO_ID = 4
_INFO_PROGRAM = 8
_INFO_MISSES = 208


class VerifierError(OSError):
    """The kernel refuses a program. `log` is what its verifier says, empty where it was not asked."""

    def __init__(self, code: int, log: str) -> None:
        super().__init__(code, os.strerror(code), "bpf")
        self.log = log

    def __str__(self) -> str:
        return f"{super().__str__()}\n{self.log}" if self.log else super().__str__()


class Map:
    """A map, by its descriptor. Keys and values are bytes of the sizes that it was made with."""

    __slots__ = ("_key_size", "_value_size", "descriptor")

    def __init__(self, descriptor: int, key_size: int, value_size: int) -> None:
        self.descriptor = descriptor
        self._key_size = key_size
        self._value_size = value_size

    @classmethod
    def create(
        cls, kind: int, key_size: int, value_size: int, entries: int, *, flags: int = 0, name: str = ""
    ) -> "Map":
        """A new map with room for so many entries. Raises OSError: EPERM without the right, or where it is more than
        RLIMIT_MEMLOCK allows (before Linux 5.11)."""
        attribute = struct.pack(
            "=7I16s", kind, key_size, value_size, entries, flags, 0, 0, name.encode()[:_NAME_LENGTH]
        )
        return cls(_bpf(_MAP_CREATE, attribute), key_size, value_size)

    @classmethod
    def of_id(cls, number: int, key_size: int, value_size: int) -> "Map":
        """A map that another process has made. Raises OSError: ENOENT where it is gone, EPERM without CAP_SYS_ADMIN."""
        return cls(_bpf(_MAP_BY_ID, struct.pack("=I", number)), key_size, value_size)

    def lookup(self, key: bytes) -> bytes | None:
        """The value of a key."""
        value = ctypes.create_string_buffer(self._value_size)
        try:
            self._element(_MAP_LOOKUP, key, value)
        except FileNotFoundError:
            return None
        return value.raw

    def update(self, key: bytes, value: bytes, flags: int = ANY) -> None:
        """Set the value of a key. Raises OSError: E2BIG where the map is full, EEXIST as `flags` say."""
        self._element(_MAP_UPDATE, key, ctypes.create_string_buffer(value, self._value_size), flags)

    def delete(self, key: bytes) -> None:
        """Forget a key. Raises FileNotFoundError where it is not there."""
        self._element(_MAP_DELETE, key, None)

    def keys(self) -> list[bytes]:
        """Those that are there; of keys that others delete meanwhile it may be that some come twice."""
        found: list[bytes] = []
        key: bytes | None = None
        following = ctypes.create_string_buffer(self._key_size)
        while True:
            try:
                self._element(_MAP_NEXT_KEY, key, following)
            except FileNotFoundError:
                return found
            key = following.raw
            found.append(key)

    def close(self) -> None:
        """Let go of it."""
        os.close(self.descriptor)

    def _element(
        self, command: int, key: bytes | None, other: "ctypes.Array[ctypes.c_char] | None", flags: int = ANY
    ) -> None:
        given = None if key is None else ctypes.create_string_buffer(key, self._key_size)
        _bpf(command, struct.pack("=IxxxxQQQ", self.descriptor, _address(given), _address(other), flags))


def try_out() -> None:
    """Make the system call for nothing: whether that is survived, in a sandbox, is what it shows."""
    try:
        _bpf(_MAP_CREATE, b"")
    except OSError:
        pass  # EINVAL: a map of type 0 there is none; or whatever else forbids it


def load(kind: int, code: bytes, name: str = "") -> int:
    """Load a program; returns its descriptor. Raises VerifierError where it is refused, other OSError: EPERM without
    the right."""
    try:
        return _load(kind, code, name, None)
    except OSError as error:
        # EPERM may be the verifier's as well, for what only a program with more rights may do
        log = ctypes.create_string_buffer(_LOG_LENGTH)
        try:
            return _load(kind, code, name, log)
        except OSError:
            if error.errno == errno.EPERM and not log.value:
                raise error from None
            raise VerifierError(error.errno or 0, log.value.decode(errors="replace").strip()) from None


def attach(tracepoint: str, program: int) -> int:
    """Run a program of type RAW_TRACEPOINT at a tracepoint from now on, until the descriptor that is returned has been
    closed, its link. Raises OSError: ENOENT where the kernel has no such tracepoint."""
    name = ctypes.create_string_buffer(tracepoint.encode())
    return _bpf(_RAW_TRACEPOINT_OPEN, struct.pack("=QIxxxx", ctypes.addressof(name), program))


def link_of_id(number: int) -> int:
    """A descriptor of a link that another process has made (Linux 5.8). Raises OSError as Map.of_id does."""
    return _bpf(_LINK_BY_ID, struct.pack("=I", number))


def program_of_link(link: int) -> int:
    """A descriptor of the program that a link attaches. Raises OSError as Map.of_id does."""
    return _bpf(_PROG_BY_ID, _info(link)[_INFO_PROGRAM : _INFO_PROGRAM + 4])


def object_id(descriptor: int) -> int:
    """The number by which the kernel knows a map, a program, or from Linux 5.8 on a link; not used again soon. Raises
    OSError."""
    return int.from_bytes(_info(descriptor)[_INFO_ID : _INFO_ID + 4], "little")


def missed_runs(program: int) -> int:
    """How often a program was not run because it was running on that processor already; 0 where the kernel does not
    count that, before Linux 5.12. Raises OSError."""
    return int.from_bytes(_info(program)[_INFO_MISSES : _INFO_MISSES + 8], "little")


def _load(kind: int, code: bytes, name: str, log: "ctypes.Array[ctypes.c_char] | None") -> int:
    instructions = ctypes.create_string_buffer(code, len(code))
    license_text = ctypes.create_string_buffer(LICENSE)
    attribute = struct.pack(
        "=IIQQIIQII16s",
        kind,
        len(code) // 8,
        ctypes.addressof(instructions),
        ctypes.addressof(license_text),
        0 if log is None else 1,
        0 if log is None else len(log),
        _address(log),
        0,
        0,
        name.encode()[:_NAME_LENGTH],
    )
    return _bpf(_PROG_LOAD, attribute)


def _info(descriptor: int) -> bytes:
    info = ctypes.create_string_buffer(_INFO_LENGTH)
    _bpf(_INFO_BY_FD, struct.pack("=IIQ", descriptor, _INFO_LENGTH, ctypes.addressof(info)))
    return info.raw


def _bpf(command: int, attribute: bytes) -> int:
    # What an older kernel does not know of the attribute has to be 0
    buffer = ctypes.create_string_buffer(attribute, _ATTRIBUTE_LENGTH)
    return raw.syscall("bpf", native().bpf, command, buffer, _ATTRIBUTE_LENGTH)


def _address(buffer: "ctypes.Array[ctypes.c_char] | None") -> int:
    return 0 if buffer is None else ctypes.addressof(buffer)
