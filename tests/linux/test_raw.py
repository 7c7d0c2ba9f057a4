"""syscall(2) through the C library: results, errors with the call's name, wide arguments."""

import ctypes
import errno
import os
from pathlib import Path

import pytest

from pytest_seccomp.linux import raw
from pytest_seccomp.linux.architecture import native

PR_GET_NAME = 16
NOWHERE = 2**32 - 1


def test_the_result_of_a_call() -> None:
    descriptor = raw.syscall("pidfd_open", native().pidfd_open, os.getpid(), 0)
    try:
        assert f"Pid:\t{os.getpid()}" in Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines()
    finally:
        os.close(descriptor)


def test_memory_is_passed_by_its_address() -> None:
    name = ctypes.create_string_buffer(16)
    assert raw.syscall("prctl", native().prctl, PR_GET_NAME, name, 0, 0, 0) == 0
    assert name.value == Path("/proc/thread-self/comm").read_bytes().rstrip(b"\n")


def test_none_is_a_null_pointer() -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EFAULT)):
        raw.syscall("prctl", native().prctl, PR_GET_NAME, None, 0, 0, 0)


def test_an_error_has_the_name_of_the_call() -> None:
    with pytest.raises(OSError, match="ioctl") as caught:
        raw.syscall("ioctl", native().ioctl, NOWHERE, 0)
    assert (caught.value.errno, caught.value.strerror, caught.value.filename) == (
        errno.EBADF,
        os.strerror(errno.EBADF),
        "ioctl",
    )


def test_a_number_that_no_kernel_has_is_refused() -> None:
    with pytest.raises(OSError, match="nothing") as caught:
        raw.syscall("nothing", 0x3FFFFFF)
    assert caught.value.errno == errno.ENOSYS


def test_arguments_are_as_wide_as_registers() -> None:
    assert ctypes.sizeof(raw.Word) == 8
    assert raw.Word(2**62 + 1).value == 2**62 + 1
    # An offset that does not fit into 32 bits arrives whole
    with open("/proc/self/exe", "rb") as file:
        seek = raw.function("lseek")
        assert seek(ctypes.c_int(file.fileno()), raw.Word(2**33 + 5), ctypes.c_int(os.SEEK_SET)) == 2**33 + 5


def test_each_user_has_a_function_of_its_own() -> None:
    first, second = raw.function(), raw.function()
    first.restype = str
    assert second.restype is ctypes.c_long


@pytest.mark.parametrize(("code", "interrupted"), [(errno.EINTR, True), (errno.EBADF, False), (errno.EAGAIN, False)])
def test_interrupted_calls(code: int, interrupted: bool) -> None:
    assert raw.interrupted(OSError(code, "")) is interrupted
