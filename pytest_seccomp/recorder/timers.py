"""Timers of traced processes: while one is about to send signals, interrupted calls are made again (`restarter`).

Sources: setitimer(2), timer_settime(2), alarm(2).
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` and `socket` cost 13 ms at start
import os
from time import monotonic

from pytest_seccomp.linux import memory
from pytest_seccomp.linux.architecture import X86_64, native
from pytest_seccomp.linux.caller import caller
from pytest_seccomp.recorder import restarter

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Timer = tuple[str, int]
    """Its kind, and which of those of the process it is."""
    Setting = tuple[Timer, float, float]
    """A timer, its interval and its value in seconds: 0 for none."""
    Reader = Callable[[int, Sequence[int]], Setting]

_SOON = 1.0
"""Seconds. What rings later is a time limit, and not worth that its process is traced."""

_FOR_EVER = float("inf")

_ALARM = 37  # of x86-64; newer tables have none
_ITIMER_REAL = 0
_TIMER_ABSTIME = 1

_WORD = 8
"""Bytes of each of the four in struct itimerval and itimerspec: seconds, and micro- or nanoseconds, of both times."""


def setting_calls() -> dict[int, Reader]:
    """The calls that set timers, as the ledger has them, and what reads from its arguments what a thread sets by one:
    OSError where it cannot be read. Those of 32-bit programs are not among them."""
    arch = native().audit_arch << 32
    calls: dict[int, Reader] = {
        arch | native().setitimer: _by_setitimer,
        arch | native().timer_settime: _by_timer_settime,
    }
    if native() is X86_64:
        calls[arch | _ALARM] = _by_alarm
    return calls


def _by_setitimer(thread: int, arguments: Sequence[int]) -> Setting:
    return ("itimer", arguments[0]), *_read(thread, arguments[1], 1e6)


def _by_timer_settime(thread: int, arguments: Sequence[int]) -> Setting:
    interval, value = _read(thread, arguments[2], 1e9)
    if arguments[1] & _TIMER_ABSTIME and value:
        interval = value = _SOON  # who knows
    return ("timer", arguments[0]), interval, value


def _by_alarm(_thread: int, arguments: Sequence[int]) -> Setting:
    return ("itimer", _ITIMER_REAL), 0.0, float(arguments[0] & 0xFFFFFFFF)


def _read(thread: int, address: int, units: float) -> tuple[float, float]:
    """The interval and the value, in seconds, which have so many units."""
    data = memory.read(thread, address, 4 * _WORD)  # `struct` costs a millisecond at start
    parts = [int.from_bytes(data[at : at + _WORD], "little", signed=True) for at in range(0, len(data), _WORD)]
    return parts[0] + parts[1] / units, parts[2] + parts[3] / units


class _Process:
    """A process with timers."""

    __slots__ = ("over", "restarter")

    def __init__(self, restarter: int | None) -> None:
        self.restarter = restarter
        self.over: dict[Timer, float] = {}
        """When each sends its last signal (time.monotonic())."""


class Timers:
    """The timers under one listener that ring soon."""

    def __init__(self) -> None:
        self._calls = setting_calls()
        self._processes: dict[int, _Process] = {}

    def are_set(self, call: int, thread: int, arguments: Sequence[int]) -> None:
        """A thread makes this call, which waits for its answer: it may be about to set a timer."""
        setting = self._calls.get(call)
        if setting is None or not thread:
            return  # 0: it is in another pid namespace
        try:
            timer, interval, value = setting(thread, arguments)
        except OSError:
            return  # NULL, or nobody may look: then nobody may trace either
        rings_soon = value and min(value, interval or value) <= _SOON
        if not rings_soon and not self._processes:
            return
        pid = caller(thread)[0]
        process = self._processes.get(pid)
        if rings_soon:
            if process is None:
                process = self._processes[pid] = _Process(restarter.start(pid))
            process.over[timer] = _FOR_EVER if interval else monotonic() + value
        elif process is not None:
            process.over.pop(timer, None)  # the kernel still has it: until the next `look`

    def look(self) -> None:
        """Let go of the processes whose timers have sent their last signal."""
        if not self._processes:
            return
        now = monotonic()
        for pid, process in list(self._processes.items()):
            if all(over < now for over in process.over.values()):
                del self._processes[pid]
                _end(process)

    def have_ended(self, children: Iterable[int]) -> None:
        """Children of this process have ended."""
        ended = set(children)
        for pid, process in list(self._processes.items()):
            if process.restarter in ended:
                del self._processes[pid]


def _end(process: _Process) -> None:
    if process.restarter is not None:
        os.kill(process.restarter, _signal.SIGKILL)
        os.waitpid(process.restarter, 0)  # until then the next one could not trace the process
