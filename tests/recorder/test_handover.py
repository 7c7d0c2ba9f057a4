"""The moment in which pytest comes under the filter: whoever is stuck in it is ended, whoever is slow is waited for."""

import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import denying
import pytest
from logged import ERRNO

from pytest_seccomp.linux.process import Watched
from pytest_seccomp.recorder import handover

TARGET = f"""
import sys; sys.path.append({denying.FOLDER!r})
import denying
sys.stdin.readline()
denying.install({ERRNO}, 0x20000000, 0)
print("under a filter", flush=True)
sys.stdin.readline()
"""


@dataclass
class Target:
    """In the place of pytest: a process that comes under a filter, and hands nothing over itself."""

    process: "subprocess.Popen[str]"
    ours: socket.socket
    theirs: socket.socket

    def comes_under_a_filter(self) -> None:
        """When this returns."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "under a filter\n"

    def handed_over(self, ready: Any) -> Any:
        """What the recorder gets."""
        settings, watched = SimpleNamespace(target=self.process.pid), Watched(self.process.pid)
        host: Any = SimpleNamespace(control=self.ours, settings=settings, target=watched, ready=ready)
        return handover.handed_over(host, lambda control: (control.recv(100), ""))  # type: ignore[arg-type,return-value]


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(handover, "_HANDOVER_SECONDS", 0.01)
    ours, theirs = socket.socketpair()
    with (
        ours,
        theirs,
        subprocess.Popen(
            [sys.executable, "-I", "-c", TARGET],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        yield Target(process, ours, theirs)
        process.kill()


@pytest.mark.needs("listener")
def test_one_that_is_under_a_filter_and_sends_nothing_is_ended(target: Target) -> None:
    assert target.handed_over(target.comes_under_a_filter) is None
    assert target.process.wait() == -signal.SIGKILL
    assert target.process.stderr is not None
    assert "the hand-over of the listener got stuck: no listener for " in target.process.stderr.read()


@pytest.mark.needs("listener")
def test_one_that_is_under_no_filter_yet_is_waited_for(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it was stopped."""
    os.kill(target.process.pid, signal.SIGSTOP)
    assert os.WIFSTOPPED(os.waitpid(target.process.pid, os.WUNTRACED)[1])
    known, looks = handover._filters, []

    def filters(pid: int) -> int | None:
        looks.append(pid)
        if len(looks) == 10:
            os.kill(pid, signal.SIGCONT)
            target.comes_under_a_filter()
            target.theirs.send(b"a listener")
        return known(pid)

    monkeypatch.setattr(handover, "_filters", filters)
    assert target.handed_over(lambda: None) == b"a listener"
    assert target.process.poll() is None
    assert looks == [target.process.pid] * 10


@pytest.mark.needs("listener")
def test_one_that_has_ended_is_not_waited_for(target: Target) -> None:
    """Though somebody else holds its socket."""
    target.process.kill()
    target.process.wait()
    assert target.handed_over(lambda: None) is None
