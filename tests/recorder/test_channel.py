"""The kernel's log up to now: whether all has come, and the sentinel that proves it."""

import os
import select
from pathlib import Path

import pytest
from watched import run

from pytest_seccomp.recorder.sentinel import Sentinel

CHANNEL = """
    from pytest_seccomp.linux.audit_log import AuditLog
    from pytest_seccomp.recorder import channel, kernel_log
    from pytest_seccomp.recorder.channel import Channel
    taken = []
    def of(number):
        return [record.process.pid for record in taken if record.call.number == number]
"""


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.mark.needs("audit")
def test_all_that_was_made_before(spool: Path) -> None:
    program = """
    log = Channel("audit", taken.append, lambda: None)
    for _ in range(100):
        pid, number = denying.child(logged.LOG, times=3)
        assert log.sync() == []
        assert of(number) == [pid] * 3
    assert log.sync() == log.conditions() == []
    log.close()
    print(len({record.serial for record in taken}) == len(taken))
    """
    assert run(CHANNEL + program, spool, watched=False) == ["True"]


@pytest.mark.needs("audit")
def test_the_sentinels_own_records_are_not_given(spool: Path) -> None:
    program = """
    log = Channel("audit", taken.append, lambda: None)
    for _ in range(10):
        log.sync()
    print([record for record in taken if record.process.pid == log._sentinel.pid])
    log.close()
    """
    assert run(CHANNEL + program, spool, watched=False) == ["[]"]


@pytest.mark.needs("audit")
def test_more_than_the_buffer_holds(spool: Path) -> None:
    """What was lost is counted, and told once."""
    program = """
    from pytest_seccomp.errors import BackendError

    kernel_log.AuditLog = lambda: AuditLog(4096)
    log = None
    while log is None:  # others may make more than the buffer holds while it is opened
        try:
            log = Channel("audit", taken.append, lambda: None)
        except BackendError:
            pass
    pid, number = denying.child(logged.LOG, times=2000)
    while (reasons := log.sync())[0].endswith("within 2 s"):  # they may leave no room for the sentinel's, either
        pass
    (reason,) = reasons
    count, words = reason.split(" ", 1)
    print(words)
    print(int(count.replace(",", "")) >= 2000 - len(of(number)) > 0)
    while log.sync():  # also where it is others who make many
        pass
    pid, number = denying.child(logged.LOG)
    while not of(number):
        pid, number = denying.child(logged.LOG)
        log.sync()
    log.close()
    """
    assert run(CHANNEL + program, spool, watched=False) == [
        "audit records were lost: they came faster than they were read",
        "True",
    ]


@pytest.mark.needs("audit")
def test_where_it_does_not_come_nobody_waits_for_seconds_each_time(spool: Path) -> None:
    """As under a flood that kmsg does not print. The time that it takes to read what there is before does not count."""
    program = """
    log = Channel("audit", taken.append, lambda: None)
    waited = []
    class Clock:
        now = 1000.0
        monotonic = staticmethod(lambda: Clock.now)
    class Poll:
        def register(self, *_): pass
        def poll(self, ms):
            waited.append(ms)
            return []
    real, channel.select.poll, channel.time = channel.select.poll, Poll, Clock
    there = []
    def receive():
        Clock.now += 3 * len(there)
        return bool(there and there.pop())
    log.receive = receive
    for _ in range(3):
        there.append(True)
        print(log.sync())
    print(waited)
    channel.select.poll, channel.time = real, time
    del log.receive
    while log.sync():  # until it comes in as short a time
        pass
    print(log._seconds)
    log.close()
    """
    reason = "['the kernel\\'s log (audit) does not come: no record of a call made now within 2 s']"
    found = run(CHANNEL + program, spool, watched=False)
    assert [line.replace('"', "'") for line in found[:3]] == [reason.replace("\\", "")] * 3
    assert found[3:] == ["[2000, 200, 200]", "2.0"]


@pytest.mark.needs("audit")
def test_a_sentinel_that_is_killed_while_its_record_is_waited_for(spool: Path) -> None:
    """Another one is asked in the same sync."""
    program = """
    log = Channel("audit", taken.append, lambda: None)
    log._seconds = 50
    sentinel = log._sentinel.pid
    os.kill(sentinel, signal.SIGSTOP)
    pid, number = denying.child(logged.LOG)
    real = channel.select.poll
    class Poll:
        def __init__(self):
            self.real = real()
            self.register, self.unregister = self.real.register, self.real.unregister
        def poll(self, ms):
            if log._sentinel.pid == sentinel:
                os.kill(sentinel, signal.SIGKILL)
            return self.real.poll(ms)
    channel.select.poll = Poll
    print(log.sync(), of(number) == [pid], log._sentinel.pid != sentinel)
    log.close()
    """
    assert run(CHANNEL + program, spool, watched=False) == ["[] True True"]


def test_a_sentinel() -> None:
    """It ends with its pipe, is replaced where it has ended, and has another name for each call."""
    made = Sentinel(lambda: None)
    names = {made.ask() for _ in range(100)}
    assert {len(name) for name in names} == {15}
    first = made.pid
    os.kill(first, 9)
    poll = select.poll()
    poll.register(made.descriptor, 0)
    assert poll.poll(60_000) == [(made.descriptor, select.POLLERR)]
    names.add(made.ask())
    assert made.pid != first
    assert len(names) == 101
    made.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(made.pid, 0)
