"""Paths and addresses in the arguments of calls that wait: which arguments they are, and what they say."""

import json
import platform
import struct
import subprocess
from typing import Any

import pytest
from child import output

from pytest_seccomp.linux import syscalls
from pytest_seccomp.sandbox import paths

I386 = 0x40000003
X86_64 = 0xC000003E

# Calls from a thread, of which none is made; beside it somebody reads what they say. An argument is a number, or what
# it points to: {"text": ...}, {"bytes": hexadecimal}, {"struct": [[width, argument], ...]}, in memory below 4 GiB.
PROGRAM = r"""
    import ctypes, fcntl, json, mmap, os, select, socket, struct, sys, threading
    from pytest_seccomp.linux import notification, process, seccomp
    from pytest_seccomp.linux.marked import MarkedCalls
    from pytest_seccomp.linux.waiting import WaitingCall
    from pytest_seccomp.sandbox import paths

    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40  # MAP_32BIT
    arena = libc.mmap(None, ctypes.c_ulong(1 << 20), mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, ctypes.c_ulong(0))
    next_free = arena

    def store(data):
        global next_free
        address = next_free
        ctypes.memmove(address, data, len(data))
        next_free += (len(data) + 15) // 16 * 16
        return address

    def value(argument):
        match argument:
            case int():
                return argument
            case {"text": text}:
                return store(text.encode("utf-8", "surrogateescape") + b"\0")
            case {"bytes": digits}:
                return store(bytes.fromhex(digits))
            case {"struct": fields}:
                return store(b"".join(value(field).to_bytes(width, "little") for width, field in fields))

    # number, then the arguments, from where functions have theirs to where calls have them; behind each a return
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    long = bytes.fromhex("4889f8 4889f7 4889d6 4889ca 4d89c2 4d89c8 4c8b4c2408 0f05 c3")
    compat = bytes.fromhex("53 55 89f8 89f3 87d1 4489c6 4489cf 8b6c2418 cd80 5d 5b c3")
    page[: len(long)] = long
    page[64 : 64 + len(compat)] = compat
    code = ctypes.addressof(ctypes.c_char.from_buffer(page))
    function = ctypes.CFUNCTYPE(ctypes.c_long, *[ctypes.c_ulong] * 7)
    call = {0xC000003E: function(code), 0x40000003: function(code + 64)}

    def run():
        low = code & 0xFFFFFFFF
        from_here = [(0x20, 0, 0, 8), (0x35, 0, 2, low), (0x35, 1, 0, low + 128), (6, 0, 0, 0x7FC00000)]
        filter = b"".join(struct.pack("=HBBI", *one) for one in [*from_here, (6, 0, 0, 0x7FFF0000)])
        if not process.has_capability(process.CAP_SYS_ADMIN):
            seccomp.set_no_new_privs()
        MarkedCalls(1).install_and_hand_over(filter, seccomp.FLAG_NEW_LISTENER, theirs.fileno())
        for arch, number, arguments in calls:
            assert call[arch](number, *[value(argument) for argument in arguments]) in (-77, 2**32 - 77)

    calls = json.loads(sys.argv[1])
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=run)
    thread.start()
    _, (listener,), _, _ = socket.recv_fds(ours, 1, 1)
    found = []
    for _ in calls:
        buffer = bytearray(80)
        fcntl.ioctl(listener, notification.RECV, buffer, True)
        waiting = WaitingCall(listener, buffer)
        found.append(paths.texts(waiting))
        waiting.answer(77)
        assert paths.texts(waiting) == {}, "of a call that waits no more nothing is told"
    thread.join()
    print(json.dumps(found))
"""

Made = tuple[int, int, list[Any]]


def texts(calls: list[Made]) -> list[dict[int, str]]:
    """What is read of each call."""
    filled = [(arch, number, [*arguments, 0, 0, 0, 0, 0, 0][:6]) for arch, number, arguments in calls]
    found = json.loads(output(PROGRAM, json.dumps(filled)))
    return [{int(index): text for index, text in one.items()} for one in found]


def number(name: str, arch: int) -> int:
    return syscalls.numbers_of(name, arch)[0]


machine_code = pytest.mark.skipif(platform.machine() != "x86_64", reason="makes calls by machine code of x86-64")
pytestmark = pytest.mark.needs("listener")


@machine_code
@pytest.mark.parametrize("arch", [pytest.param(X86_64), pytest.param(I386, marks=pytest.mark.needs("i386"))])
def test_the_paths_of_each_call(arch: int) -> None:
    names = [name for name in paths.PATHS if name in syscalls.all_names(arch)]
    calls: list[Made] = []
    expected = []
    for name in names:
        arguments: list[Any] = [0, 0, 0, 0, 0, 0]
        wide = arch == I386 and name == "fanotify_mark"
        places = (paths.WIDE_MARK,) if wide else paths.PATHS[name]
        for place in places:
            arguments[place] = {"text": f"{name}/{place}"}
        calls += [(arch, each, arguments) for each in syscalls.numbers_of(name, arch) if each < 0x40000000]
        expected.append({place: f"{name}/{place}" for place in places})
    assert texts(calls) == expected
    assert len(names) > 70


@pytest.mark.parametrize("name", [*paths.PATHS, *paths.ADDRESSES, *paths.MESSAGES, "socketcall", "fsconfig", "bpf"])
def test_each_name_is_that_of_a_call(name: str) -> None:
    assert name in syscalls.all_names()


@machine_code
def test_paths_that_are_none() -> None:
    """No pointer, a wrong one, no end, nothing, and something else than UTF-8."""
    open_ = number("open", X86_64)
    arguments: list[Any] = [0, 1, 2**64 - 1, {"bytes": "61" * 5000}, {"text": ""}, {"text": "a\udcffb"}]
    assert texts([(X86_64, open_, [argument]) for argument in arguments]) == [{}, {}, {}, {}, {}, {0: "a\udcffb"}]
    assert texts([(X86_64, number("rename", X86_64), [0, {"text": "b"}])]) == [{1: "b"}]
    assert texts([(X86_64, number("read", X86_64), [{"text": "a"}]), (X86_64, 100000, [{"text": "a"}])]) == [{}, {}]


@machine_code
def test_the_longest_path() -> None:
    open_ = number("open", X86_64)
    assert texts([(X86_64, open_, [{"text": "a" * 4095}]), (X86_64, open_, [{"text": "a" * 4096}])]) == [
        {0: "a" * 4095},
        {},
    ]


def unix(name: bytes) -> dict[str, str]:
    return {"bytes": (struct.pack("<H", 1) + name).hex()}


@machine_code
@pytest.mark.parametrize(
    ("name", "length", "expected"),
    [
        (b"/run/a\0", 9, "/run/a"),
        (b"/run/a", 8, "/run/a"),
        (b"/run/a\0rest", 13, "/run/a"),
        (b"\0abstract", 11, "@abstract"),
        (b"\0with\0zero", 12, "@with\0zero"),
        (b"x" * 108, 110, "x" * 108),
        (b"", 2, None),
        (b"", 1, None),
        (b"/run/a", 0, None),
        (b"/run/a", 2**64 - 1, "/run/a"),
    ],
)
def test_addresses(name: bytes, length: int, expected: str | None) -> None:
    calls: list[Made] = [
        (X86_64, number("connect", X86_64), [3, unix(name), length]),
        (X86_64, number("bind", X86_64), [3, unix(name), length]),
        (X86_64, number("sendto", X86_64), [3, 0, 0, 0, unix(name), length]),
        (X86_64, number("sendmsg", X86_64), [3, {"struct": [[8, unix(name)], [4, length & 0xFFFFFFFF], [44, 0]]}]),
        (X86_64, number("sendmmsg", X86_64), [3, {"struct": [[8, unix(name)], [4, length & 0xFFFFFFFF], [52, 0]]}, 1]),
    ]
    if length > 2**32:  # the rest of the 128 bytes of an address are zero here
        expected = "/run/a"
    assert texts(calls) == [{place: expected} if expected else {} for place in (1, 1, 4, 1, 1)]


@machine_code
def test_addresses_of_other_families() -> None:
    internet = {"bytes": struct.pack(">HH4s8x", 0x0200, 80, bytes(4)).hex()}
    assert texts([(X86_64, number("connect", X86_64), [3, internet, 16])]) == [{}]


@machine_code
@pytest.mark.needs("i386")
def test_addresses_on_i386() -> None:
    """Its structures are smaller, and all of these calls can be made by socketcall, with arguments in memory."""
    address = unix(b"/run/a")
    message = {"struct": [[4, address], [4, 8], [20, 0]]}
    several = {"struct": [[4, address], [4, 8], [24, 0]]}
    calls: list[Made] = [
        (I386, number("connect", I386), [3, address, 8]),
        (I386, number("bind", I386), [3, address, 8]),
        (I386, number("sendto", I386), [3, 0, 0, 0, address, 8]),
        (I386, number("sendmsg", I386), [3, message]),
        (I386, number("sendmmsg", I386), [3, several, 1]),
    ]
    expected = [{1: "/run/a"}, {1: "/run/a"}, {4: "/run/a"}, {1: "/run/a"}, {1: "/run/a"}]
    for part, name in paths.SOCKETCALL.items():
        arguments = {"bind": [3, address, 8], "connect": [3, address, 8], "sendto": [3, 0, 0, 0, address, 8]}
        words = [[4, one] for one in [*arguments.get(name, [3, several]), 0, 0, 0, 0, 0, 0][:6]]
        calls.append((I386, number("socketcall", I386), [part, {"struct": words}]))
        expected.append({1: "/run/a"})
    calls += [
        (I386, number("socketcall", I386), [1, {"struct": [[4, address]] * 6}]),  # socket
        (I386, number("socketcall", I386), [3, 1]),
    ]
    assert texts(calls) == [*expected, {}, {}]


@machine_code
def test_calls_with_commands() -> None:
    fsconfig, bpf = number("fsconfig", X86_64), number("bpf", X86_64)
    pin = {"struct": [[8, {"text": "/sys/fs/bpf/a"}], [8, 0]]}
    calls: list[Made] = [(X86_64, fsconfig, [3, command, {"text": "k"}, {"text": "v"}, 0]) for command in range(9)]
    calls += [(X86_64, bpf, [command, pin, 16]) for command in (0, 5, 6, 7, 8)]
    expected: list[dict[int, str]] = [{3: "v"} if command in (3, 4) else {} for command in range(9)]
    assert texts(calls) == [*expected, {}, {}, {1: "/sys/fs/bpf/a"}, {1: "/sys/fs/bpf/a"}, {}]


# Parameters that are strings, and no paths
OTHER_STRINGS = {
    "add_key", "fgetxattr", "fremovexattr", "fsconfig", "fsetxattr", "fsopen", "memfd_create", "mq_timedsend",
    "pwrite64", "request_key", "write", "flistxattr", "getcwd", "getrandom", "getsockopt", "mincore",
    "mq_timedreceive", "pread64", "read", "setdomainname", "sethostname", "setsockopt", "shmat", "shmdt", "syslog",
    "delete_module", "init_module", "finit_module", "kexec_file_load",
}  # fmt: skip
OTHER_NAMES = {"newstat": "stat", "newlstat": "lstat"}


@pytest.mark.needs("mount")
def test_no_path_is_forgotten_that_this_kernel_knows() -> None:
    """It describes the parameters of its calls for tracing."""
    script = "mount -t tracefs none /mnt && cd /mnt/events/syscalls && grep 'field:.*char \\*' sys_enter_*/format"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=False)
    if not done.stdout:
        pytest.skip(f"the kernel does not describe its calls: {done.stderr}")
    described = {line.partition("/")[0].removeprefix("sys_enter_") for line in done.stdout.splitlines()}
    known = {OTHER_NAMES.get(name, name) for name in described} & syscalls.all_names()
    assert known - OTHER_STRINGS - {*paths.PATHS} == set()
    assert len(known) > 70  # 76 on aarch64, which lacks open, stat and their like
