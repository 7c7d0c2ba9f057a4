"""The moment in which pytest is under a filter and nobody answers yet.

pytest has stopped at its next system call then, holds a descriptor of the listener itself, and would wait for ever: no
handler of a signal can run in it. So a process of its own watches over that moment: if the recorder is killed in it,
pytest is ended too, with a message.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` costs the recorder 3 ms at its start
import os
import select

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

    from pytest_seccomp.recorder.process import Recorder

_HANDOVER_SECONDS = 3
_STDERR = 2


class Guard:
    """Ends the process `target` unless it is released, and leaves the rest to the command `salvage`, if given."""

    def __init__(self, target: int, salvage: list[str] | None) -> None:
        read, self._write = os.pipe()
        if os.fork():
            os.close(read)
            return
        try:
            os.close(self._write)
            if not os.read(read, 1):
                end_stuck(target, "the recorder died")
                if salvage is not None:
                    os.execv(salvage[0], salvage)
        finally:
            os._exit(0)

    def release(self) -> None:
        """The moment is over. The guard ends; its parent has to wait for it."""
        os.write(self._write, b"1")
        os.close(self._write)


def handed_over(
    host: Recorder, receive: Callable[[_socket.socket], tuple[tuple[int, memoryview] | None, str]]
) -> tuple[int, memoryview] | None:
    """Wait for the listener and what comes with it; None where pytest has none, or has ended. pytest may have stopped
    at a system call in the middle of the hand-over, from which nobody can wake it: then it is ended, with a message.
    Where it is under no filter yet, it was stopped, or waits for a disk, and is waited for."""
    target = host.settings.target
    poll = select.poll()
    poll.register(host.control, select.POLLIN)
    before, stuck = _filters(target), False
    try:
        host.ready()
        while not poll.poll(_HANDOVER_SECONDS * 1000):
            if stuck:
                end_stuck(target, f"no listener for {_HANDOVER_SECONDS} s")
            if stuck or host.target.gone():
                return None
            stuck = before is None or _filters(target) != before  # and had time since then, or may just have begun
        return receive(host.control)[0]
    except OSError:
        return None  # EPIPE, ECONNRESET: pytest has ended


def _filters(pid: int) -> int | None:
    """The most seccomp filters that a thread of a process is under, None where that is not known: before Linux 5.9, and
    where the process has ended."""
    counts: list[int] = []
    try:
        for tid in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{tid}/status", encoding="utf-8", errors="replace") as status:
                counts += [int(line.split()[1]) for line in status if line.startswith("Seccomp_filters:")]
    except OSError:
        return None
    return max(counts, default=None)


def end_stuck(pid: int, reason: str) -> None:
    """Kill a process that cannot go on, and say why on its standard error."""
    try:
        with open(f"/proc/{pid}/fd/{_STDERR}", "w", encoding="utf-8") as file:
            file.write(f"pytest-seccomp: error: the hand-over of the listener got stuck: {reason}: ending pytest\n")
    except OSError:
        pass  # closed, or not ours to open: the process is ended all the same
    try:
        os.kill(pid, _signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has been killed as well
