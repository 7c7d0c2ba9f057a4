"""Marker calls in the kernel's log, and pytest's side of the backends that read it.

A record has no arguments, so a marker is a system call number that does not exist: the kernel answers ENOSYS, and its
record says it. Labels have numbers of their own, and so has each marker that rings: the message that precedes it says
which label it stands for, and that what was sent before belongs before it. So messages are in order with the records,
though the recorder reads both when it likes.
"""

from __future__ import annotations

import errno

from pytest_seccomp.errors import BackendError
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.recorder.refused import call_of, explained

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_seccomp.linux.marked import MarkedCalls

REMEDY = (
    "needs Linux 4.14 or newer with CONFIG_SECCOMP_FILTER, and no container or sandbox around it that denies "
    "seccomp(2) or prctl(2)"
)

_FIRST, _END = 0x20000000, 0x40000000
"""Between these numbers no architecture has a system call; the last is the bit of x32."""

RINGS = 1 << 26
"""How far after the first number those of markers that ring begin, and how many there are of each kind."""


def first_number(cookie: int) -> int:
    """The first of the numbers of a run, a random one as its cookie is."""
    return _FIRST + cookie % (_END - _FIRST - 2 * RINGS)


class Marks:
    """pytest's marker calls. Nobody waits for an answer: whether the recorder lives is seen by `send`."""

    def __init__(self, cookie: int, send: Callable[..., None]) -> None:
        from pytest_seccomp.linux import raw

        self._send = send
        self._first = first_number(cookie)
        self._call, self._word = raw.function(), raw.Word
        self._rung = 0

    def mark(self, label: int) -> bool:
        """From here on calls count for this label."""
        self._call(self._word(self._first + label))
        return True

    def ring(self, label: int) -> bool:
        """The same, and what was sent belongs before it."""
        number, self._rung = self._rung, self._rung + 1
        self._send("boundary", number, label)
        self._call(self._word(self._first + RINGS + number))
        return True

    ask = ring


def attach(calls: MarkedCalls, cookie: int, control: int, send: Callable[..., None]) -> Marks:
    """Begin an audit session in the calling thread, and put it, with all that it starts from now on, under a filter
    that has each call logged. Raises BackendError, with nothing changed but the session and no_new_privs."""
    from pytest_seccomp.linux import marked, process, seccomp
    from pytest_seccomp.recorder.session import own_session

    session = own_session()
    try:
        if not process.has_capability(process.CAP_SYS_ADMIN):
            seccomp.set_no_new_privs()
        seccomp.install(marked.watching_filter(native(), cookie, seccomp.RET_LOG))
    except OSError as error:
        raise _explain(error) from error
    send("attached", session)
    return Marks(cookie, send)


def _explain(error: OSError) -> BackendError:
    if call_of(error) != "seccomp":
        return explained(error)
    reason = f"seccomp(2) is refused here ({error.strerror})"
    if error.errno in (errno.EPERM, errno.EACCES):
        return BackendError(reason, "allow the system call seccomp in the profile of the container around it")
    return BackendError(reason, REMEDY)
