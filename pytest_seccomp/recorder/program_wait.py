"""Waiting for a traced program as whoever it was started for would: signals that come are the program's.

What a terminal sends has come to the program as well, which is in the same process group; all else is passed on.
"""

import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pytest_seccomp.recorder.program import TracedProgram

_PASSED_ON = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)

_FROM_KERNEL = 0x80
"""SI_KERNEL (sigaction(2)): of a signal that the terminal sends, to all of its foreground process group."""

_PATIENCE = 1.0
"""Seconds after which it is told that recording goes on though the program has ended."""


@contextmanager
def signals_held() -> Iterator[set[signal.Signals]]:
    """Hold back the signals that are to be passed on, but for those that are ignored, and yield those that were blocked
    before."""
    children = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would hide how a child has ended
    held = {number for number in _PASSED_ON if signal.getsignal(number) != signal.SIG_IGN}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held | {signal.SIGCHLD})
    try:
        yield {signal.Signals(number) for number in before}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGCHLD, children)


def wait(program: TracedProgram, tell: Callable[[int, int], None], *, for_others: bool) -> int:
    """Wait for the program's end and, if `for_others`, of all that it has started. To be called within `signals_held`.

    Returns the status as waitpid(2) has it. Once the program has ended any signal ends the waiting, and after a while
    `tell` is told the status and how many processes are still there.
    """
    held = {number for number in _PASSED_ON if signal.getsignal(number) != signal.SIG_IGN} | {signal.SIGCHLD}
    status: int | None = None
    told = nobody_seen = False
    while True:
        ended = dict(_ended())
        status = ended.get(program.pid, status)
        if status is not None:
            if not for_others:
                return status
            if nobody_seen and not ended:
                return status
            # Whoever ended while they were looked for may have started one that was not seen: daemons begin so
            nobody_seen = not program.others()
            if nobody_seen:
                continue
        info = signal.sigtimedwait(held, _PATIENCE) if status is not None and not told else signal.sigwaitinfo(held)
        if info is None:
            assert status is not None
            tell(status, len(program.others()))
            told = True
        elif info.si_signo == signal.SIGCHLD:
            continue
        elif status is not None:
            return status
        elif info.si_code != _FROM_KERNEL:
            os.kill(program.pid, info.si_signo)


def _ended() -> Iterator[tuple[int, int]]:
    """The children of this process that have ended, and how."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        yield pid, status


def end_like(status: int) -> None:
    """End this process by the signal that has ended another one; returns where it was none. Without a core file."""
    if not os.WIFSIGNALED(status):
        return
    number = os.WTERMSIG(status)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)
