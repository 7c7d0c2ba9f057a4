"""The moment in which pytest is under a filter and nobody answers yet.

pytest has stopped at its next system call then, holds a descriptor of the listener itself, and would wait for ever: no
handler of a signal can run in it. So a process of its own watches over that moment: if the recorder is killed in it,
pytest is ended too, with a message.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` costs the recorder 3 ms at its start
import os

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
