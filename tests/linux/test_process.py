"""Processes that are no children of ours, watched with a pidfd and without one, and what /proc says of our own."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from typing import IO

import pytest
from running import until

from pytest_seccomp.linux import process
from pytest_seccomp.linux.process import LOOK_MS, Watched

# A name that looks like the fields after it to somebody who looks for the first parenthesis
PROGRAM = 'open("/proc/self/comm", "w").write(") Z 1 ("); print(flush=True); input()'


def input_of(child: "subprocess.Popen[bytes]") -> IO[bytes]:
    assert child.stdin is not None
    return child.stdin


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that ends, and stays a zombie until it is waited for, when its input is closed."""
    command = [sys.executable, "-I", "-S", "-c", PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as started:
        assert started.stdout is not None
        started.stdout.readline()
        yield started


@pytest.fixture(params=["pidfd", "no pidfd_open", "pidfd_open refused"])
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether there are pidfds."""

    def refused(pid: int) -> int:
        raise PermissionError(1, "Operation not permitted")

    if request.param == "no pidfd_open":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    elif request.param == "pidfd_open refused":
        monkeypatch.setattr(os, "pidfd_open", refused)
    name: str = request.param
    return name


@pytest.fixture
def watched(how: str, child: "subprocess.Popen[bytes]") -> Iterator[Watched]:
    """The child, watched."""
    found = Watched(child.pid)
    yield found
    if found.descriptor is not None:
        os.close(found.descriptor)


def test_a_process_that_lives_is_not_gone(watched: Watched) -> None:
    assert not watched.gone()


def test_a_zombie_is_gone(watched: Watched, child: "subprocess.Popen[bytes]") -> None:
    input_of(child).close()
    until("the child's end", watched.gone)
    assert child.returncode is None
    assert os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None, "was a zombie meanwhile"


def test_gone_is_for_good(watched: Watched, child: "subprocess.Popen[bytes]") -> None:
    input_of(child).close()
    child.wait()
    assert watched.gone()
    assert watched.gone()


@pytest.mark.usefixtures("how")
def test_a_pid_that_nobody_has_is_gone(child: "subprocess.Popen[bytes]") -> None:
    input_of(child).close()
    child.wait()
    watched = Watched(child.pid)
    assert watched.descriptor is None
    assert watched.gone()


def test_how_long_to_wait(watched: Watched, how: str) -> None:
    if how == "pidfd":
        assert watched.descriptor is not None
        assert watched.wait_ms() is None
    else:
        assert watched.descriptor is None
        assert watched.wait_ms() == LOOK_MS


def test_a_pidfd_wakes_a_poll_at_the_end(child: "subprocess.Popen[bytes]") -> None:
    watched = Watched(child.pid)
    assert watched.descriptor is not None
    poll = select.poll()
    poll.register(watched.descriptor, select.POLLIN)
    assert poll.poll(0) == []
    input_of(child).close()
    assert poll.poll(60_000) == [(watched.descriptor, select.POLLIN)]
    os.close(watched.descriptor)


def test_fields_of_the_status() -> None:
    assert process.status_field("Pid") == str(os.getpid())
    assert process.status_field("Pi") is None


@pytest.mark.parametrize(
    ("effective", "has"),
    [("0000000000200000", True), ("000001ffffffffff", True), ("000001ffffdfffff", False), (None, False)],
)
def test_capabilities(monkeypatch: pytest.MonkeyPatch, effective: str | None, has: bool) -> None:
    monkeypatch.setattr(process, "status_field", lambda name: effective if name == "CapEff" else None)
    assert process.has_capability(process.CAP_SYS_ADMIN) is has
