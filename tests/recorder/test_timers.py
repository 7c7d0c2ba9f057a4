"""Timers of traced processes: for which of them, and until when, interrupted calls are made again."""

import ctypes
import errno
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from pytest_seccomp.linux.architecture import X86_64, native
from pytest_seccomp.recorder import restarter, timers
from pytest_seccomp.recorder.timers import Timers

ARCH = native().audit_arch << 32
SETITIMER, SETTIME, ALARM = ARCH | native().setitimer, ARCH | native().timer_settime, ARCH | 37
LONG = 10**6


class Machine:
    """Children that do nothing in place of restarters, and a clock that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.processes: list[int] = []
        self.children: list[subprocess.Popen[bytes]] = []

    def start(self, process: int) -> int | None:
        self.processes.append(process)
        self.children.append(subprocess.Popen(["sleep", "1000"]))
        return self.children[-1].pid

    def live(self) -> int:
        """How many of the children there are."""
        return sum(os.path.exists(f"/proc/{child.pid}") for child in self.children)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    machine = Machine()
    monkeypatch.setattr(restarter, "start", machine.start)
    monkeypatch.setattr(timers, "monotonic", lambda: machine.now)
    yield machine
    for child in machine.children:
        child.kill()
        child.wait()


def set_timer(
    found: Timers, call: int, which: int, interval: float, value: float, *, absolute: bool = False, thread: int = 0
) -> None:
    """As this process does it, in seconds."""
    unit = 1e6 if call == SETITIMER else 1e9
    parts = [part for span in (interval, value) for part in (int(span), round(span % 1 * unit))]
    memory = ctypes.create_string_buffer(struct.pack("=4q", *parts))
    address = ctypes.addressof(memory)
    arguments = (which, address, 0, 0) if call == SETITIMER else (which, int(absolute), address, 0)
    found.are_set(call, thread or os.getpid(), arguments)


@pytest.mark.parametrize("call", [SETITIMER, SETTIME], ids=["setitimer", "timer_settime"])
@pytest.mark.parametrize(
    ("interval", "value", "soon"),
    [
        (0.001, 0.001, True),
        (0, 0.5, True),
        (0, 1, True),
        (0.001, 300, True),
        (300, 0.001, True),
        (300, 300, False),
        (0, 300, False),
        (0.001, 0, False),  # a value of 0 switches it off
    ],
)
def test_a_timer_that_rings_soon_is_one(
    machine: Machine, call: int, interval: float, value: float, *, soon: bool
) -> None:
    set_timer(Timers(), call, 0, interval, value)
    assert machine.processes == ([os.getpid()] if soon else [])


@pytest.mark.skipif(native() is not X86_64, reason="newer tables of calls have no alarm")
@pytest.mark.parametrize(("seconds", "soon"), [(1, True), (60, False), (0, False)])
def test_alarm_is_one(machine: Machine, seconds: int, *, soon: bool) -> None:
    Timers().are_set(ALARM, os.getpid(), (seconds, 0, 0, 0))
    assert machine.processes == ([os.getpid()] if soon else [])


def test_a_time_of_day_may_be_soon(machine: Machine) -> None:
    set_timer(Timers(), SETTIME, 0, 0, time.time(), absolute=True)
    assert machine.processes == [os.getpid()]


def test_a_process_has_one_for_all_its_timers_and_threads(machine: Machine) -> None:
    found = Timers()
    set_timer(found, SETITIMER, 0, 0.1, 0.1)
    set_timer(found, SETITIMER, 2, 0.1, 0.1)
    thread = threading.Thread(target=lambda: set_timer(found, SETTIME, 0, 0.1, 0.1, thread=threading.get_native_id()))
    thread.start()
    thread.join()
    assert machine.processes == [os.getpid()]


def test_it_ends_when_all_timers_are_off_and_the_test_is_over(machine: Machine) -> None:
    found = Timers()
    set_timer(found, SETITIMER, 0, 0.1, 0.1)
    set_timer(found, SETITIMER, 2, 0.1, 0.1)
    set_timer(found, SETITIMER, 0, 0, 0)
    found.look()
    assert machine.live() == 1
    set_timer(found, SETITIMER, 2, 0, 0)
    assert machine.live() == 1  # the kernel has it until the call is answered
    found.look()
    assert machine.live() == 0


def test_a_timer_that_rings_once_is_over_when_it_has(machine: Machine) -> None:
    found = Timers()
    set_timer(found, SETITIMER, 0, 0, 0.5)
    machine.now += 0.4
    found.look()
    assert machine.live() == 1
    machine.now += 0.2
    found.look()
    assert machine.live() == 0


def test_the_next_timer_has_a_new_one(machine: Machine) -> None:
    found = Timers()
    for _ in range(2):
        set_timer(found, SETITIMER, 0, 0.1, 0.1)
        set_timer(found, SETITIMER, 0, 0, 0)
        found.look()
    assert machine.processes == [os.getpid()] * 2


def test_a_process_that_has_ended_has_none(machine: Machine) -> None:
    found = Timers()
    set_timer(found, SETITIMER, 0, 0.1, 0.1)
    machine.children[0].kill()
    machine.children[0].wait()
    found.have_ended([machine.children[0].pid])
    found.look()  # and does not kill whoever has its pid now
    set_timer(found, SETITIMER, 0, 0.1, 0.1)
    assert len(machine.processes) == 2


def test_where_it_cannot_be_it_is_tried_once_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    monkeypatch.setattr(restarter, "start", tried.append)
    found = Timers()
    for _ in range(3):
        set_timer(found, SETITIMER, 0, 0.1, 0.1)
    assert len(tried) == 1
    set_timer(found, SETITIMER, 0, 0, 0)
    found.look()
    set_timer(found, SETITIMER, 0, 0.1, 0.1)
    assert len(tried) == 2


def test_what_cannot_be_read_is_none(machine: Machine) -> None:
    found = Timers()
    found.are_set(SETITIMER, os.getpid(), (0, 0, 0, 0))
    found.are_set(SETITIMER, os.getpid(), (0, 2**64 - 4096, 0, 0))
    set_timer(found, SETITIMER, 0, 0.1, 0.1, thread=2**31 - 1)
    assert machine.processes == []


def test_other_calls_and_namespaces_are_none(machine: Machine) -> None:
    found = Timers()
    found.are_set(ARCH | native().prctl, os.getpid(), (1, 1, 1, 1))
    found.are_set(SETITIMER, 0, (0, 0, 0, 0))
    assert machine.processes == []


def test_a_process_that_may_not_be_traced_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody may trace a process that is traced already
    fork, forked = os.fork, []

    def noted() -> int:
        forked.append(fork())
        return forked[-1]

    monkeypatch.setattr(os, "fork", noted)
    program = "import ctypes, time; ctypes.CDLL(None).ptrace(0, 0, 0, 0); print(flush=True); time.sleep(1000)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            assert restarter.start(child.pid) is None
        finally:
            child.kill()
    (restarting,) = forked
    assert os.waitpid(restarting, 0)[0] == restarting  # or whoever waits for any child would find it


def test_a_process_is_left_alone_where_there_can_be_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(os, "fork", refused)
    assert restarter.start(os.getpid()) is None
    assert os.listdir("/proc/self/fd") == before
