"""A system call that waits for its answer from a supervisor: what it is, whether it still waits, and answering it.

Sources: seccomp_unotify(2), include/uapi/linux/seccomp.h.
"""

import errno
import fcntl
import os
from struct import Struct

from pytest_seccomp.linux import notification

_NOTIFICATION = Struct("=QIIIIQ6Q")  # struct seccomp_notif: id, pid, flags, and struct seccomp_data
_DATA_OFFSET = 16
_ANSWER = Struct("=QqiI")  # struct seccomp_notif_resp
_ID = Struct("=Q")

# With the direction that the header had at first: the right one, 0x40082102, is known from Linux 5.9 on only
_ID_VALID = 0x80082102


class WaitingCall:
    """A call that was received from a listener.

    `notification` is struct seccomp_notif as RECV has filled it, or more.
    """

    __slots__ = ("arch", "arguments", "data", "id", "listener", "number", "pointer", "tid")

    def __init__(self, listener: int, notification: bytes | memoryview) -> None:
        self.listener = listener
        self.id: int
        self.tid: int
        """The thread that makes the call, as this process's pid namespace numbers it; 0 where it is in another."""
        self.number: int
        """32 bits, unsigned."""
        self.arch: int
        """AUDIT_ARCH_*"""
        self.pointer: int
        """The instruction pointer: that of the instruction after the call."""
        self.id, self.tid, _, self.number, self.arch, self.pointer, *arguments = _NOTIFICATION.unpack_from(notification)
        self.arguments: tuple[int, ...] = tuple(arguments)
        """Six, each as wide as a register of the machine."""
        self.data = bytes(notification[_DATA_OFFSET : _NOTIFICATION.size])
        """struct seccomp_data, which a filter decides on."""

    def waits(self) -> bool:
        """Whether nobody has answered it and no signal has interrupted it: then its thread is there, and `tid` is not
        yet another's. Raises OSError."""
        try:
            fcntl.ioctl(self.listener, _ID_VALID, _ID.pack(self.id))
        except OSError as error:
            if error.errno == errno.ENOENT:
                return False
            raise
        return True

    def answer(self, error: int) -> None:
        """Have it fail with an error, a positive number. FileNotFoundError where it does not wait any more, another
        OSError where something else is wrong."""
        try:
            fcntl.ioctl(self.listener, notification.SEND, _ANSWER.pack(self.id, 0, -error, 0))
        except OSError as failure:
            if failure.errno != errno.EINPROGRESS:
                raise
            # It has its answer, and its thread has not yet woken up
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
