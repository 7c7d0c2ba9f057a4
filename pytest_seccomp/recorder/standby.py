"""The standby: a second unfiltered process that knows when others end, and that takes over when the recorder is killed.

Without it, the last descriptor of the listener would close with the recorder, and every traced call would fail with
ENOSYS: futex and write too, so that the traced process dies of SIGSEGV before any of its threads can say why.
It is also the recorder's eyes: the recorder waits for the next call in the kernel and polls nothing, so the standby
wakes it with a signal when pytest has ended.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` costs the recorder 3 ms at its start
import fcntl
import os
import select

from pytest_seccomp.linux.notification import Exchange, let_everything_pass
from pytest_seccomp.linux.process import Watched

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable

WAKE_SIGNAL: int = _signal.SIGUSR1

TARGET_GONE = 0
"""Index in the shared status: the recorder sets it when it has understood that the target is gone."""

_NUDGE_MS = 50


def start(listener: int, exchange: Exchange, target: int, close_inherited: Callable[[], None]) -> int:
    """Fork the standby of this process; returns its pid.

    `target` is the pid of the process whose end the recorder has to know of; `close_inherited` closes in the standby
    what only the recorder may hold.
    """
    recorder = os.getpid()
    ended, alive = os.pipe()
    pid = os.fork()
    if pid:
        os.close(ended)
        return pid  # `alive` closes when the recorder dies, and not before
    status = 1
    try:
        os.close(alive)
        _continue_at_the_end_of(ended)
        _signal.signal(WAKE_SIGNAL, _signal.SIG_IGN)
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
        close_inherited()
        _watch(listener, exchange, recorder, target)
        status = 0
    finally:
        os._exit(status)


def _continue_at_the_end_of(pipe: int) -> None:
    """Have the kernel send SIGCONT to this process when nobody can write into a pipe any more: a standby that somebody
    has stopped must not leave the traced processes waiting when the recorder dies. Source: F_SETSIG in fcntl(2)."""
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETSIG, _signal.SIGCONT)
    fcntl.fcntl(pipe, fcntl.F_SETFL, os.O_ASYNC)


def _watch(listener: int, exchange: Exchange, recorder_pid: int, target_pid: int) -> None:
    recorder, target = Watched(recorder_pid), Watched(target_pid)
    poll = select.poll()
    poll.register(listener, 0)  # POLLHUP, from Linux 5.9 on: nobody is traced any more
    for watched in (recorder, target):
        if watched.descriptor is not None:
            poll.register(watched.descriptor, select.POLLIN)
    nobody_traced = target_known = False
    while True:
        if recorder.gone() or os.getppid() != recorder_pid:
            let_everything_pass(listener, exchange)
            return
        timeout = recorder.wait_ms() or (None if target_known else target.wait_ms())
        # Again and again: a signal that comes just before the recorder waits in the kernel does not wake it
        if nobody_traced or (not target_known and target.gone()):
            os.kill(recorder_pid, WAKE_SIGNAL)
            timeout = _NUDGE_MS
        for descriptor, _ in poll.poll(timeout):
            # What has happened stays readable, and would not let us wait
            poll.unregister(descriptor)
            nobody_traced = nobody_traced or descriptor == listener
        target_known = bool(exchange.status[TARGET_GONE])
