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
    from collections.abc import Iterable, Sequence

    Timer = tuple[int, int]
    """The call that arms it, and which of those of the process it is."""

_SOON = 1.0
"""Seconds. What rings later is a time limit, and not worth that its process is traced."""

_FOR_EVER = float("inf")

_ALARM = 37  # of x86-64; newer tables have none
_TIMER_ABSTIME = 1

_WORD = 8
"""Bytes of each of the four in struct itimerval and itimerspec: seconds, and micro- or nanoseconds, of both times."""


def setting_calls() -> frozenset[int]:
    """The calls that set timers, as the ledger has them. Those of 32-bit programs are not among them."""
    return frozenset(call for call in (_setitimer(), _settime(), _alarm()) if call is not None)


def _setitimer() -> int:
    return native().audit_arch << 32 | native().setitimer


def _settime() -> int:
    return native().audit_arch << 32 | native().timer_settime


def _alarm() -> int | None:
    return native().audit_arch << 32 | _ALARM if native() is X86_64 else None


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
        self._setitimer, self._settime, self._alarm = _setitimer(), _settime(), _alarm()
        self._processes: dict[int, _Process] = {}

    def are_set(self, call: int, thread: int, arguments: Sequence[int]) -> None:
        """A thread makes this call, which waits for its answer: it may be about to set a timer."""
        if call == self._alarm:
            timer, interval, value = (self._setitimer, 0), 0.0, float(arguments[0] & 0xFFFFFFFF)
        elif call in (self._setitimer, self._settime):
            timer, at = (call, arguments[0]), 1 if call == self._setitimer else 2
            try:
                interval, value = _read(thread, arguments[at], call == self._settime)
            except OSError:
                return  # NULL, or nobody may look: then nobody may trace either
            if call == self._settime and arguments[1] & _TIMER_ABSTIME and value:
                interval = value = _SOON  # who knows
        else:
            return
        rings_soon = value and min(value, interval or value) <= _SOON
        if not thread or not (rings_soon or self._processes):
            return  # 0: it is in another pid namespace
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


def _read(thread: int, address: int, nanoseconds: bool) -> tuple[float, float]:
    """The interval and the value, in seconds."""
    data = memory.read(thread, address, 4 * _WORD)  # `struct` costs a millisecond at start
    parts = [int.from_bytes(data[at : at + _WORD], "little", signed=True) for at in range(0, len(data), _WORD)]
    unit = 1e9 if nanoseconds else 1e6
    return parts[0] + parts[1] / unit, parts[2] + parts[3] / unit
