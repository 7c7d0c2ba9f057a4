"""Which arguments of a system call are paths, or addresses of AF_UNIX sockets, and what they say.

By name, for all calls of Linux 6.18 that `linux/syscalls.txt` has. Sources: the parameters that are strings in
include/linux/syscalls.h and under /sys/kernel/tracing/events/syscalls, without those that name something else than a
file (an attribute, a key, a module, a file system type, a memory file), and the manual pages. Also names of message
queues, which are files of their own file system. Not what only a device or io_uring sees.
"""

import struct
from collections.abc import Iterator
from functools import cache

from pytest_seccomp.linux import memory, syscalls
from pytest_seccomp.linux.architecture import ARM, I386, X32_BIT, X86_64, native
from pytest_seccomp.linux.waiting import WaitingCall

PATHS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(
        (
            "access", "acct", "chdir", "chmod", "chown", "chown32", "chroot", "creat", "execve", "getxattr", "lchown",
            "lchown32", "lgetxattr", "listxattr", "llistxattr", "lremovexattr", "lsetxattr", "lstat", "lstat64",
            "mkdir", "mknod", "mq_open", "mq_unlink", "oldlstat", "oldstat", "open", "readlink", "removexattr", "rmdir",
            "setxattr", "stat", "stat64", "statfs", "statfs64", "swapoff", "swapon", "truncate",
            "truncate64", "umount", "umount2", "unlink", "uselib", "utime", "utimes",
        ),
        (0,),
    ),
    **dict.fromkeys(("link", "mount", "pivot_root", "rename", "symlink"), (0, 1)),
    "symlinkat": (0, 2),
    **dict.fromkeys(
        (
            "execveat", "faccessat", "faccessat2", "fchmodat", "fchmodat2", "fchownat", "file_getattr", "file_setattr",
            "fspick", "fstatat64", "futimesat", "getxattrat", "inotify_add_watch", "listxattrat", "mkdirat", "mknodat",
            "mount_setattr", "name_to_handle_at", "newfstatat", "open_tree", "open_tree_attr", "openat", "openat2",
            "quotactl", "readlinkat", "removexattrat", "setxattrat", "statx", "unlinkat", "utimensat",
            "utimensat_time64",
        ),
        (1,),
    ),
    **dict.fromkeys(("linkat", "move_mount", "renameat", "renameat2"), (1, 3)),
    "fanotify_mark": (4,),
}  # fmt: skip
"""The arguments of a call that are paths, counted from 0."""

WIDE_MARK = 5
"""Of fanotify_mark where registers have 32 bits: its mask, of 64, takes two arguments."""

ADDRESSES = {"bind": (1, 2), "connect": (1, 2), "sendto": (4, 5)}
"""The arguments of a call that are a socket address and its length."""

MESSAGES = {"sendmsg": 1, "sendmmsg": 1}
"""The argument of a call that is a struct msghdr, which has an address; of several the first."""

SOCKETCALL = {2: "bind", 3: "connect", 11: "sendto", 16: "sendmsg", 20: "sendmmsg"}
"""What the first argument of socketcall says; the second is where the arguments are (include/uapi/linux/net.h)."""

FSCONFIG_PATHS = (3, 4)
"""Commands of fsconfig, its second argument, with which its fourth is a path: FSCONFIG_SET_PATH, .._PATH_EMPTY."""

BPF_PATHS = (6, 7)
"""Commands of bpf, its first argument, with which a path is the first word of what the second points to:
BPF_OBJ_PIN, BPF_OBJ_GET."""

_OTHERS = ("socketcall", "fsconfig", "bpf")
_AF_UNIX = 1
_LONGEST_ADDRESS = 128  # sizeof(struct sockaddr_storage)


def texts(call: WaitingCall) -> dict[int, str]:
    """What the paths and the addresses of a call say, by the index of the argument that points there: as in the call,
    relative ones too; "@name" for an abstract address (unix(7)). Bytes that are no UTF-8 are surrogates.

    Empty where there are none, and where they cannot be read. What the program changes while its call waits is not
    noticed; but nothing is ever of another call or process: it is looked whether this one still waits.
    """
    name = _names(call.arch).get(call.number)
    if name is None:
        return {}
    found = {index: text.decode("utf-8", "surrogateescape") for index, text in _read(call, name) if text}
    return found if found and call.waits() else {}


def prepare() -> None:
    """Look up now which calls of this machine have something to read: each supervisor would do it for itself."""
    _names(native().audit_arch)


@cache
def _names(arch: int) -> dict[int, str]:
    """The calls of AUDIT_ARCH_* that have something to read, by number."""
    known = syscalls.all_names(arch)  # of another name libseccomp would be asked, in vain
    names = (name for name in (*PATHS, *ADDRESSES, *MESSAGES, *_OTHERS) if name in known)
    return {number: name for name in names for number in syscalls.numbers_of(name, arch)}


def _read(call: WaitingCall, name: str) -> Iterator[tuple[int, bytes]]:
    """The indices of arguments, and what stands there; empty where nothing can be read."""
    reader = _Reader(call)
    arguments = [reader.pointer(argument) for argument in call.arguments]
    if name in PATHS:
        places = (WIDE_MARK,) if name == "fanotify_mark" and reader.has_narrow_registers else PATHS[name]
        for place in places:
            yield place, reader.path(arguments[place])
    elif name == "fsconfig" and arguments[1] in FSCONFIG_PATHS:
        yield 3, reader.path(arguments[3])
    elif name == "bpf" and arguments[0] in BPF_PATHS:
        yield 1, reader.path(reader.word(arguments[1], 8))
    elif name == "socketcall":
        name = SOCKETCALL.get(arguments[0], "")
        words = reader.words(arguments[1], 6) if name else []
        for _, text in _addresses(reader, name, words):
            yield 1, text
    else:
        yield from _addresses(reader, name, arguments)


def _addresses(reader: "_Reader", name: str, arguments: list[int]) -> Iterator[tuple[int, bytes]]:
    if not arguments:
        return
    if name in ADDRESSES:
        pointer, length = ADDRESSES[name]
        yield pointer, reader.address(arguments[pointer], arguments[length])
    elif name in MESSAGES:
        place = MESSAGES[name]
        header = reader.words(arguments[place], 2)  # name and its length, an int
        if header:
            yield place, reader.address(header[0], header[1])


class _Reader:
    """Reads the memory of the process of a call; what cannot be read is empty, or 0."""

    def __init__(self, call: WaitingCall) -> None:
        self._tid = call.tid
        is_x32 = call.arch == X86_64.audit_arch and bool(call.number & X32_BIT)
        self.has_narrow_registers = call.arch in (I386.audit_arch, ARM.audit_arch)
        self._width = 4 if self.has_narrow_registers or is_x32 else 8

    def pointer(self, argument: int) -> int:
        """An argument as the kernel takes it."""
        return argument & 0xFFFFFFFF if self.has_narrow_registers else argument

    def path(self, pointer: int) -> bytes:
        """The string there."""
        try:
            return memory.read_string(self._tid, pointer) if pointer else b""
        except OSError:
            return b""

    def word(self, pointer: int, width: int) -> int:
        """The number there, of so many bytes."""
        return int.from_bytes(self._bytes(pointer, width), "little")

    def words(self, pointer: int, count: int) -> list[int]:
        """So many numbers, each as wide as a long of the program."""
        data = self._bytes(pointer, count * self._width)
        return list(struct.unpack(f"<{count}{'I' if self._width == 4 else 'Q'}", data)) if data else []

    def address(self, pointer: int, length: int) -> bytes:
        """The name in a socket address of AF_UNIX; empty for another family."""
        data = self._bytes(pointer, min(length & 0xFFFFFFFF, _LONGEST_ADDRESS))
        if int.from_bytes(data[:2], "little") != _AF_UNIX:
            return b""
        name = data[2:]
        return b"@" + name[1:] if name[:1] == b"\0" else name.partition(b"\0")[0]

    def _bytes(self, pointer: int, length: int) -> bytes:
        try:
            return memory.read(self._tid, pointer, length) if pointer else b""
        except OSError:
            return b""
