"""Which calls may give EINTR by themselves."""

import ctypes
import os
import socket
import sys
from pathlib import Path

import pytest

from pytest_seccomp.linux import syscalls
from pytest_seccomp.linux.architecture import AARCH64, I386, X86_64, native
from pytest_seccomp.linux.interruptible import may_wait

AT_FDCWD = 0xFFFFFFFF_FFFFFF9C


def waits(name: str, *arguments: int, arch: int | None = None) -> bool:
    """Whether a call of this process may wait."""
    arch = arch or native().audit_arch
    return may_wait(os.getpid(), arch, syscalls.numbers_of(name, arch)[0], (*arguments, *(0,) * (6 - len(arguments))))


@pytest.mark.parametrize(
    "name", ["getppid", "close", "socketpair", "mmap", "newfstatat", "execve", "clone", "unlinkat"]
)
def test_most_calls_never_do(name: str) -> None:
    assert not waits(name)


@pytest.mark.parametrize("name", ["wait4", "accept", "recvfrom", "nanosleep", "ppoll", "rt_sigsuspend", "flock"])
@pytest.mark.parametrize("arch", [X86_64.audit_arch, AARCH64.audit_arch])
def test_calls_that_wait_do(name: str, arch: int) -> None:
    assert waits(name, arch=arch)


def test_a_call_that_nobody_knows_may() -> None:
    assert may_wait(os.getpid(), native().audit_arch, 9999, (0,) * 6)


@pytest.mark.parametrize("name", ["waitpid", "_newselect", "ipc", "socketcall"])
def test_those_of_32_bit_programs_too(name: str) -> None:
    assert waits(name, arch=I386.audit_arch)
    assert not waits("getppid", arch=I386.audit_arch)


@pytest.mark.parametrize(
    ("name", "command", "expected"),
    [
        ("futex", 0, True),  # FUTEX_WAIT
        ("futex", 0x80, True),  # with FUTEX_PRIVATE_FLAG
        ("futex", 0x189, True),  # FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME
        ("futex", 1, False),  # FUTEX_WAKE
        ("futex", 0x81, False),
        ("futex", 5, False),  # FUTEX_WAKE_OP
        ("futex", 0x86, False),  # FUTEX_LOCK_PI_PRIVATE, which waits, but never gives EINTR
        ("fcntl", 7, True),  # F_SETLKW
        ("fcntl", 6, False),  # F_SETLK
        ("fcntl", 1030, False),  # F_DUPFD_CLOEXEC
        ("ioctl", 0x5401, False),  # TCGETS
        ("ioctl", 0x5403, True),  # TCSETSW, which waits for the output
    ],
)
def test_some_wait_with_some_commands(name: str, command: int, *, expected: bool) -> None:
    assert waits(name, 3, command) is expected


def test_transfers_wait_unless_the_content_is_on_a_file_system(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("content")
    reading, writing = os.pipe()
    with path.open() as file:
        assert not waits("read", file.fileno())
        assert not waits("writev", file.fileno())
        assert waits("read", reading)
        assert waits("write", writing)
    with open("/proc/self/status", encoding="utf-8") as made_up:
        assert waits("read", made_up.fileno())
    os.close(reading)
    os.close(writing)
    assert waits("read", 2**32 - 1)  # nobody knows


def test_opening_waits_where_there_may_be_another_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    os.mkfifo(tmp_path / "fifo")

    def opening(path: str | Path, folder: int = AT_FDCWD) -> bool:
        text = ctypes.create_string_buffer(os.fsencode(path))
        return waits("openat", folder, ctypes.addressof(text))

    assert not opening(tmp_path / "file")
    assert not opening(tmp_path)
    assert not opening(tmp_path / "missing")
    assert opening(tmp_path / "fifo")
    assert opening("/dev/tty") or not os.path.exists("/dev/tty")
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        assert opening("fifo", folder)
        assert not opening("file", folder)
        assert not opening("fifo")  # from the current folder, where there is none
    finally:
        os.close(folder)
    assert waits("openat", AT_FDCWD, 8)  # what cannot be read


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_connecting_waits_once_it_has_begun(kind: socket.SocketKind) -> None:
    def connecting(one: socket.socket, family: int) -> bool:
        address = ctypes.create_string_buffer(family.to_bytes(2, sys.byteorder) + bytes(14))
        return waits("connect", one.fileno(), ctypes.addressof(address))

    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(type=kind) as one:
        assert not connecting(one, socket.AF_INET)
        one.connect(server.getsockname())
        assert connecting(one, socket.AF_INET) is (kind == socket.SOCK_STREAM)
        assert connecting(one, socket.AF_UNIX)  # nobody knows
    assert waits("connect", 0, 8)  # nor what cannot be read
