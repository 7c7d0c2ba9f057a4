"""What was refused, and what to do."""

import errno
import os
import socket
import tempfile
from collections.abc import Callable

import pytest

from pytest_seccomp.errors import BackendError
from pytest_seccomp.linux import raw
from pytest_seccomp.recorder.refused import call_of, explained


def error_of(function: Callable[[], object]) -> OSError:
    try:
        function()
    except OSError as error:
        return error
    pytest.fail("nothing was refused")


def refused(code: int, filename: str | None = None) -> OSError:
    return error_of(lambda: throw(OSError(code, os.strerror(code), filename)))


def throw(error: OSError) -> None:
    raise error


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda: os.close(-1), "close"),
        (lambda: socket.socket(fileno=1023), "socket"),
        (lambda: ("ä", os.dup(2**20)), "dup"),
        (lambda: raw.syscall("prctl", -1), "prctl"),
        (lambda: tempfile.mkdtemp(dir="/none/of/these"), "mkdir"),
    ],
)
def test_the_function_is_that_of_the_line_that_called_it(function: Callable[[], object], name: str) -> None:
    assert call_of(error_of(function)) == name


@pytest.mark.parametrize("error", [OSError(errno.EPERM, "no"), refused(errno.EPERM)], ids=["nowhere", "raised by hand"])
def test_where_no_call_can_be_found_none_is_named(error: OSError) -> None:
    assert call_of(error) == ""
    assert explained(error).reason == f"a system call is refused here ({error.strerror})"


@pytest.mark.parametrize(
    ("error", "reason", "remedy"),
    [
        (refused(errno.EPERM, "fork"), "fork() is refused here (Operation not permitted)", "allow the system call"),
        (refused(errno.ENOSYS, "fork"), "fork() is refused here (Function not implemented)", "allow the system call"),
        (refused(errno.EACCES, "fork"), "fork() is refused here (Permission denied)", "allow the system call"),
        (refused(errno.EACCES, "/a/file"), "/a/file: Permission denied", "run again"),
        (refused(errno.EAGAIN, "fork"), "fork(): Resource temporarily unavailable", "run again"),
        (BackendError("no", "yes"), "no", "yes"),
    ],
)
def test_the_reason_and_the_remedy(error: OSError | BackendError, reason: str, remedy: str) -> None:
    said = explained(error)
    assert said.reason == reason
    assert said.remedy.startswith(remedy)
