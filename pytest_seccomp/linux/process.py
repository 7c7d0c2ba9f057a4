"""Watching a process that is no child of ours, and what /proc says of our own.

No ctypes here: the recorder uses this file. Sources: pidfd_open(2), proc_pid_stat(5), proc_pid_status(5),
capabilities(7).
"""

from __future__ import annotations

import os
import select

from pytest_seccomp.errors import BackendError

TYPE_CHECKING = False  # of typing, which costs the recorder 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable

CAP_SYS_ADMIN = 21

_MOST_PREFERRED = -20  # nice value

LOOK_MS = 200
"""How often to look after a process that has no pidfd, in milliseconds."""


class Watched:
    """A process, watched by a pidfd (Linux 5.3) or, where a container's filter or an old build of Python does not give
    one, by looking into /proc.

    `descriptor` is the pidfd, readable from the process's end on, or None.
    """

    __slots__ = ("_gone", "_pid", "descriptor")

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._gone = False
        self.descriptor: int | None = None
        try:
            self.descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            self._gone = True
        except (AttributeError, OSError):
            pass  # no such function in this build, or refused: gone() looks into /proc

    def gone(self) -> bool:
        """Whether the process has ended; a zombie has."""
        if not self._gone:
            if self.descriptor is None:
                self._gone = not _is_alive(self._pid)
            else:
                poll = select.poll()
                poll.register(self.descriptor, select.POLLIN)
                self._gone = bool(poll.poll(0))
        return self._gone

    def wait_ms(self) -> int | None:
        """How long to wait in a poll that has the descriptor registered: for ever where it tells of the end."""
        return LOOK_MS if self.descriptor is None else None


def _is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The second field is the name in parentheses and may hold anything, parentheses too
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def run_as_soon_as_woken() -> bool:
    """Have the scheduler prefer this process, not its children, to others; returns whether it is allowed (CAP_SYS_NICE
    or RLIMIT_NICE; sched(7)).

    No real-time priority: such a process runs on from the very moment at which another wakes it, and finds that the
    other still holds the lock that it needs."""
    try:
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, 0, _MOST_PREFERRED)
    except (AttributeError, OSError):
        return False  # no such function with this C library, or no right to it
    return True


def close_descriptors(kept: Iterable[int], first: int = 0) -> None:
    """Close all descriptors of this process from `first` on, but for those that are kept."""
    edges = sorted(kept)
    for low, up in zip([first - 1, *edges], [*edges, os.sysconf("SC_OPEN_MAX")], strict=True):
        if low + 1 < up:  # os.closerange(0, 0) closes all
            os.closerange(low + 1, up)


def status_field(name: str) -> str | None:
    """A field of /proc/self/status, None where there is none. Raises BackendError where no /proc is mounted."""
    try:
        file = open("/proc/self/status", encoding="utf-8", errors="replace")  # noqa: SIM115
    except FileNotFoundError:
        raise BackendError("no /proc is mounted here", "mount it") from None
    with file:
        for line in file:
            key, _, value = line.partition(":")
            if key == name:
                return value.strip()
    return None


def has_capability(number: int) -> bool:
    """Whether this process has a capability (its number in capabilities(7)) in its effective set."""
    return bool(int(status_field("CapEff") or "0", 16) >> number & 1)
