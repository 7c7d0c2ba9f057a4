"""Reading another process's memory: its bytes, its strings, and where there is nothing."""

import errno
import mmap
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_seccomp.linux import memory

PAGE = mmap.PAGESIZE

# Five pages: the first and the last of them are not there for anybody. Bytes to write come as hexadecimal digits.
PROGRAM = """
    import ctypes, mmap, sys
    libc = ctypes.CDLL(None)
    pages = mmap.mmap(-1, 5 * mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(pages))
    middle = start + mmap.PAGESIZE
    for address in (start, start + 4 * mmap.PAGESIZE):
        assert libc.munmap(ctypes.c_void_p(address), ctypes.c_ulong(mmap.PAGESIZE)) == 0
    print(middle, flush=True)
    for line in sys.stdin:
        offset, digits = line.split(" ")
        data = bytes.fromhex(digits)
        ctypes.memmove(middle + int(offset), data, len(data))
        print(flush=True)
    import os
    os._exit(0)
"""


class Other:
    """A process with three pages that can be written."""

    length = 3 * PAGE

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", dedent(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid
        self.address = int(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def write(self, offset: int, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{offset} {data.hex()}\n")
        self._process.stdin.flush()
        self._answer()

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def other() -> Iterator[Other]:
    """Another process."""
    process = Other()
    yield process
    process.end()


def fails(number: int, read: Callable[[], object]) -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011  # its number is what matters
        read()
    assert caught.value.errno == number


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(offset=st.integers(0, Other.length - 1), data=st.binary(min_size=1, max_size=2 * PAGE))
def test_what_is_there_is_read(other: Other, offset: int, data: bytes) -> None:
    data = data[: other.length - offset]
    other.write(offset, data)
    address = other.address + offset
    assert memory.read(other.pid, address, len(data)) == data
    other.write(min(offset + len(data), other.length - 1), b"\0")
    string = data.partition(b"\0")[0]
    if offset + len(string) < other.length - 1:
        assert memory.read_string(other.pid, address, len(string) + 1) == string
        if string:
            fails(errno.ENAMETOOLONG, lambda: memory.read_string(other.pid, address, len(string)))


def test_nothing_of_no_length(other: Other) -> None:
    assert memory.read(other.pid, other.address, 0) == b""


def test_across_the_end(other: Other) -> None:
    end = other.address + other.length
    other.write(other.length - 4, b"abcd")
    fails(errno.EFAULT, lambda: memory.read(other.pid, end - 4, 5))
    fails(errno.EFAULT, lambda: memory.read_string(other.pid, end - 4))
    other.write(other.length - 1, b"\0")
    assert memory.read_string(other.pid, end - 4) == b"abc"


@pytest.mark.parametrize("length", [4095, 4096])
def test_a_path_has_at_most_4096_bytes_with_its_end(other: Other, length: int) -> None:
    other.write(100, b"x" * length + b"\0")
    if length < memory.PATH_MAX:
        assert memory.read_string(other.pid, other.address + 100) == b"x" * length
    else:
        fails(errno.ENAMETOOLONG, lambda: memory.read_string(other.pid, other.address + 100))


@pytest.mark.parametrize("address", [0, 1, PAGE, 2**47, 2**63 - PAGE, 2**63, 2**64 - 1, 0xFFFFFFFFFF600000])
def test_where_nothing_is(other: Other, address: int) -> None:
    fails(errno.EFAULT, lambda: memory.read(other.pid, address, 1))
    fails(errno.EFAULT, lambda: memory.read_string(other.pid, address))


def test_a_page_before_and_behind(other: Other) -> None:
    for address in (other.address - 1, other.address + other.length):
        fails(errno.EFAULT, lambda address=address: memory.read(other.pid, address, 1))  # type: ignore[misc]


def test_any_thread_stands_for_its_process() -> None:
    buffer = mmap.mmap(-1, PAGE)
    assert memory.read(os.getpid(), id(None), 1)
    buffer.close()


def test_no_such_process() -> None:
    fails(errno.ENOENT, lambda: memory.read(2**22 + 1, 0, 1))


def test_a_process_that_has_ended() -> None:
    """A zombie has no memory."""
    process = Other()
    os.kill(process.pid, signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(OSError) as caught:  # noqa: PT011  # its number is what matters
        memory.read(process.pid, process.address, 1)
    assert caught.value.errno in (errno.EACCES, errno.ESRCH)
    process.end()


@pytest.mark.needs("root")
def test_what_is_not_permitted(other: Other) -> None:
    program = f"""
import os, sys
sys.path.append({os.path.dirname(os.path.dirname(memory.__file__)).rpartition("/")[0]!r})
from pytest_seccomp.linux import memory
os.setresuid(65534, 65534, 65534)
try:
    memory.read({other.pid}, {other.address}, 1)
except PermissionError as error:
    print(error.strerror)
"""
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "Permission denied\n"
