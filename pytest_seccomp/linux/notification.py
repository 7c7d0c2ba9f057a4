"""Seccomp user notification, the supervisor's side: receiving the calls of traced processes and answering them.

No ctypes here: the recorder uses this file and has to start within milliseconds. Only for little-endian machines.
Sources: seccomp_unotify(2), include/uapi/linux/seccomp.h, kernel/seccomp.c.
"""

import errno
import fcntl
import mmap
import select

RECV = 0xC0502100
SEND = 0xC0182101
_SET_FLAGS = 0x40082104
_SYNC_WAKE_UP = 1

CONTINUE = 1
"""Flag of an answer: the kernel makes the call after all (Linux 5.5)."""

NOTIFICATION_SIZE = 80

# As filters return them (linux/seccomp.py has ctypes)
ACTION, RET_DATA = 0xFFFF0000, 0xFFFF
RET_ERRNO = 0x00050000
RET_ALLOW = 0x7FFF0000

# Indices of 64-bit words in struct seccomp_notif
WORD_ID = 0
_WORD_THREAD = 1
WORD_CALL = 2
"""The system call number in the low half, AUDIT_ARCH_* in the high half."""
WORD_ARGUMENTS = 4
_DATA = slice(8 * WORD_CALL, NOTIFICATION_SIZE)

# Indices in struct seccomp_notif_resp: of 64-bit words for id and value, of 32-bit words for error and flags
ANSWER_ID = 0
ANSWER_VALUE = 1
ANSWER_ERROR = 4
ANSWER_FLAGS = 5


class Exchange:
    """The memory in which one notification is received and answered, shared with processes that are forked later.

    `notification` and `answer` are longer than 1024 bytes on purpose: fcntl.ioctl passes shorter buffers as a copy,
    longer ones as they are and without giving up the GIL (CPython, Modules/fcntlmodule.c). So the id of a received
    notification is in the shared memory the moment the kernel has taken the notification out of its queue, and whoever
    takes over from a killed supervisor can answer it. The notification has to be zeroed before each RECV (EINVAL).
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 3 * 4096)
        memory = memoryview(self._memory)
        self.notification = memory[:4096]
        self.answer = memory[4096:8192]
        self.words = self.notification.cast("Q")
        self.answer_words = self.answer.cast("Q")
        self.answer_halves = self.answer.cast("i")
        self.status = memory[8192:]
        """Free for the processes that share this memory, one byte a flag."""

    @property
    def data(self) -> bytes:
        """struct seccomp_data of the notification: the call and its arguments, as filters see them."""
        return bytes(self.notification[_DATA])

    @property
    def thread(self) -> int:
        """The thread that makes the call, by its id in this process's pid namespace; 0 where it has none in it."""
        return self.words[_WORD_THREAD] & 0xFFFFFFFF

    @property
    def unanswered(self) -> int:
        """The id of the notification that was received last, 0 where there is none."""
        return self.words[WORD_ID]


def wake_up_in_place(listener: int) -> bool:
    """Let the traced thread and the supervisor wake each other on the same processor (SYNC_WAKE_UP, Linux 6.6): a call
    then costs a fifth. Returns whether the kernel could."""
    try:
        fcntl.ioctl(listener, _SET_FLAGS, _SYNC_WAKE_UP)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTTY):
            raise
        return False
    return True


def nobody_is_traced(listener: int) -> bool:
    """Whether every thread under the filter is gone (POLLHUP, Linux 5.9)."""
    poll = select.poll()
    poll.register(listener, 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))


def let_everything_pass(listener: int, exchange: Exchange) -> None:
    """Answer CONTINUE to the notification that is left unanswered in `exchange` and to all that come, until no thread
    under the filter is left."""
    zero = bytes(NOTIFICATION_SIZE)
    exchange.answer_words[ANSWER_VALUE] = 0
    exchange.answer_halves[ANSWER_ERROR] = 0
    exchange.answer_halves[ANSWER_FLAGS] = CONTINUE
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        if exchange.unanswered:
            exchange.answer_words[ANSWER_ID] = exchange.unanswered
            try:
                fcntl.ioctl(listener, SEND, exchange.answer, True)
            except OSError:
                pass  # ENOENT: the caller was killed, or had its answer already
        exchange.notification[:NOTIFICATION_SIZE] = zero
        # Before Linux 6.11 RECV would wait for ever once nobody is left
        events = poll.poll()
        if events[0][1] & select.POLLIN:
            try:
                fcntl.ioctl(listener, RECV, exchange.notification, True)
            except OSError:
                pass  # ENOENT: the caller was killed before its call was received
        elif events[0][1] & select.POLLHUP:
            return
