"""What a signal would do to a thread of another process, and sending one to one thread.

Sources: proc_pid_status(5), tgkill(2), kernel/signal.c.
"""

from pytest_seccomp.linux import raw
from pytest_seccomp.linux.architecture import native


class Signals:
    """What /proc says of a thread's signals. Raises OSError where there is no such thread, or it is not shown."""

    __slots__ = ("_blocked", "_caught", "_first", "_ignored", "pid")

    def __init__(self, tid: int) -> None:
        with open(f"/proc/{tid}/status", "rb", buffering=0) as file:
            lines = [line.split() for line in file.read().splitlines()]
        fields = {line[0]: line[1:] for line in lines if line}
        self.pid = int(fields[b"Tgid:"][0])
        """The process of the thread."""
        self._blocked = int(fields[b"SigBlk:"][0], 16)
        self._caught = int(fields[b"SigCgt:"][0], 16)
        self._ignored = int(fields[b"SigIgn:"][0], 16)
        # A kernel without pid namespaces has no such field
        self._first = fields.get(b"NStgid:", [b""])[-1] == b"1"

    def does_its_default(self, number: int) -> bool:
        """Whether a signal that ends processes by default would do so, before the thread goes on in its program."""
        handled = self._blocked | self._caught | self._ignored
        # The first process of a pid namespace takes no harm from signals that it does not handle
        return not handled >> (number - 1) & 1 and not self._first


def send(pid: int, tid: int, number: int) -> None:
    """Send a signal to one thread of a process. Raises OSError."""
    raw.syscall("tgkill", native().tgkill, pid, tid, number)
