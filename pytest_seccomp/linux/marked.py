"""System calls of our own in a traced thread, recognised by a cookie in an argument that the kernel ignores.

The filters of the backends let a message through whose fifth argument is the cookie of the run, and the recorder of
`notify` takes such a munmap for a ring at its door, `ebpf` such a prctl for a marker: none of them is in any trace.
"""

from __future__ import annotations

# `functools`, `signal`, `socket`, `collections` and `typing` together cost the self-check of `notify` 12 ms
import _operator
import _signal  # type: ignore[import-not-found]
import _socket
import ctypes
import errno
import gc
import os
import struct
from _collections import deque  # type: ignore[import-not-found]
from _functools import partial  # type: ignore[import-not-found]

from pytest_seccomp.linux import raw, seccomp
from pytest_seccomp.linux.architecture import NativeArchitecture, native
from pytest_seccomp.linux.headroom import make_room
from pytest_seccomp.linux.raw import Word

MARKER_OPTION = 0x7FFFFFFF
"""An operation that prctl(2) does not have: where nobody answers in its place, the kernel says EINVAL."""

COOKIE_ARGUMENT = 4
"""Index of the argument that carries the cookie; sendmsg, recvmsg, munmap and an unknown prctl ignore it."""

_NOWHERE = 1
"""An address at which no mapping begins: where nobody answers in its place, the kernel says EINVAL to its munmap(2)."""

_SCM_RIGHTS_LENGTH = 20
_CONTROL_LENGTH = 24
_DESCRIPTOR_OFFSET = 16

_BUFFER_LENGTH = 65536
_SEND_AND_WAIT = Word(_socket.MSG_NOSIGNAL)
_SEND_NOW = Word(_socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL)
_RECEIVE = Word(_socket.MSG_CMSG_CLOEXEC)


def watching_filter(architecture: NativeArchitecture, cookie: int, action: int, others: bytes | None = None) -> bytes:
    """A filter that gives every call an action, or decides by the filter `others`, but for those with the cookie: of
    these, messages to the recorder and a listener that is handed over pass (sendmsg, recvmsg), and rings get the
    action."""
    return _with_cookie(architecture, cookie, action) + (seccomp.verdict(action) if others is None else others)


def passing(architecture: NativeArchitecture, cookie: int, others: bytes) -> bytes:
    """A filter that lets messages and rings with the cookie pass, and decides by the filter `others` for the rest."""
    return _with_cookie(architecture, cookie, seccomp.RET_ALLOW) + others


def _with_cookie(architecture: NativeArchitecture, cookie: int, rings: int) -> bytes:
    """The beginning of a filter, which goes on behind it for all but our own calls."""
    low, high = seccomp.argument(COOKIE_ARGUMENT)
    return b"".join(
        (
            seccomp.load(low),
            seccomp.unless_equal(cookie, 11),
            seccomp.load(high),
            seccomp.unless_equal(cookie >> 32, 9),
            seccomp.load(seccomp.OFFSET_ARCH),
            seccomp.unless_equal(architecture.audit_arch, 7),
            seccomp.load(seccomp.OFFSET_NUMBER),
            seccomp.unless_equal(architecture.sendmsg, 1),
            seccomp.verdict(seccomp.RET_ALLOW),
            seccomp.unless_equal(architecture.recvmsg, 1),
            seccomp.verdict(seccomp.RET_ALLOW),
            seccomp.unless_equal(architecture.munmap, 1),
            seccomp.verdict(rings),
        )
    )


class _IoVec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class _Message(ctypes.Structure):
    """struct user_msghdr, as the kernel has it; musl's own struct msghdr differs in the types, not in the layout."""

    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("iov", ctypes.POINTER(_IoVec)),
        ("iov_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_uint),
    ]


class MarkedCalls:
    """The calls that carry one cookie (62 bits, random)."""

    def __init__(self, cookie: int) -> None:
        self._architecture: NativeArchitecture = native()
        self._cookie = Word(cookie)
        self._zero = Word(0)
        self._syscall = raw.function()
        self._prctl = Word(self._architecture.prctl)
        self._option = Word(MARKER_OPTION)
        self._munmap = Word(self._architecture.munmap)
        self._nowhere = Word(_NOWHERE)
        self._sendmsg = Word(self._architecture.sendmsg)
        self._recvmsg = Word(self._architecture.recvmsg)
        # Made once: building them costs more than the call
        buffer = ctypes.create_string_buffer(_BUFFER_LENGTH)
        self._memory = memoryview(buffer).cast("B")
        self._vector = _IoVec(ctypes.cast(buffer, ctypes.c_void_p), 0)
        self._message = ctypes.byref(_Message(None, 0, ctypes.pointer(self._vector), 1, None, 0, 0))
        self._control = ctypes.create_string_buffer(_CONTROL_LENGTH)
        self._received = _Message(
            None, 0, ctypes.pointer(self._vector), 1, ctypes.cast(self._control, ctypes.c_void_p), _CONTROL_LENGTH, 0
        )
        self._received_message = ctypes.byref(self._received)
        self.descriptors: list[int] = []
        """Those that have come with what was received, and that nobody has taken."""

    def mark(self, label: int, operation: int) -> None:
        """Make the marker call, a prctl, with two numbers: for who sees it on its way, since nobody answers it."""
        zero = self._zero
        self._syscall(self._prctl, self._option, Word(label), Word(operation), zero, self._cookie, zero)

    def ring(self) -> int | None:
        """Have the recorder read what was sent to it; no filter of the code under test is likely to deny a munmap.

        Returns the recorder's answer (more than 0), or None where no recorder answered: the kernel says EINVAL, and a
        filter any error, or that all went well (0).
        """
        zero = self._zero
        while True:
            result: int = self._syscall(self._munmap, self._nowhere, zero, zero, zero, self._cookie, zero)
            if result > 0:
                return result
            # A signal can interrupt the call until the recorder has received it
            if not result or ctypes.get_errno() != errno.EINTR:
                return None

    def send(self, descriptor: int, data: bytes, *, wait: bool = False) -> int:
        """Send what fits into the socket's buffer now, or wait until something does; returns the number of bytes.
        Raises OSError, BlockingIOError where nothing fits now or within the socket's SO_SNDTIMEO."""
        length = min(len(data), _BUFFER_LENGTH)
        self._memory[:length] = data[:length]
        self._vector.length = length
        flags = _SEND_AND_WAIT if wait else _SEND_NOW
        return self._message_call("sendmsg", self._sendmsg, descriptor, self._message, flags)

    def receive(self, descriptor: int) -> bytes:
        """Receive what is there, waiting for the first byte; empty at the end of the stream. Raises OSError.

        A descriptor that comes along, one at a time, is added to `descriptors`.
        """
        self._vector.length = _BUFFER_LENGTH
        self._received.control_length = _CONTROL_LENGTH
        length = self._message_call("recvmsg", self._recvmsg, descriptor, self._received_message, _RECEIVE)
        if self._received.control_length >= _SCM_RIGHTS_LENGTH:
            self.descriptors += struct.unpack_from("=i", self._control, _DESCRIPTOR_OFFSET)
        return bytes(self._memory[:length])

    def _message_call(self, name: str, number: Word, descriptor: int, message: raw.Reference, flags: Word) -> int:
        while True:
            result: int = self._syscall(number, Word(descriptor), message, flags, self._zero, self._cookie, self._zero)
            if result >= 0:
                return result
            error = raw.last_error(name)
            if not raw.interrupted(error):
                raise error

    def install_and_hand_over(self, program: bytes, flags: int, descriptor: int, *others: int) -> None:
        """Install a filter with a listener in the calling thread and send the listener, with one byte and before other
        descriptors, over a socket.

        Returns when a supervisor answers. Raises OSError (of seccomp: EBUSY where an outer filter has a listener,
        EACCES without no_new_privs and CAP_SYS_ADMIN) with nothing installed.

        From the install on this thread stops at its next system call until a supervisor has the listener. So no byte
        code may run in between, and no signal handler: giving up the GIL is a futex, a handler is Python. Both calls
        are made inside one iteration in C with all signals blocked; the result of the first is written into the
        message of the second by its restype.
        """
        code = seccomp.FilterProgram(program)
        payload = ctypes.create_string_buffer(b"L", 1)
        count = 1 + len(others)
        control = ctypes.create_string_buffer(_socket.CMSG_SPACE(4 * count))
        rights = _socket.CMSG_LEN(4 * count), _socket.SOL_SOCKET, _socket.SCM_RIGHTS
        struct.pack_into(f"=Qii{count}i", control, 0, *rights, 0, *others)
        vector = _IoVec(ctypes.cast(payload, ctypes.c_void_p), 1)
        message = _Message(None, 0, ctypes.pointer(vector), 1, ctypes.cast(control, ctypes.c_void_p), len(control), 0)
        install, send = raw.function(), raw.function()
        install.restype = partial(struct.pack_into, "=i", control, _DESCRIPTOR_OFFSET)
        mask = _signal.pthread_sigmask(_signal.SIG_BLOCK, [])
        steps = [
            partial(_signal.pthread_sigmask, _signal.SIG_SETMASK, _signal.valid_signals()),
            partial(
                install, Word(self._architecture.seccomp), Word(seccomp.SET_MODE_FILTER), Word(flags),
                ctypes.byref(code), self._zero, self._zero, self._zero,
            ),
            ctypes.get_errno,
            partial(
                send, Word(self._architecture.sendmsg), Word(descriptor), ctypes.byref(message), self._zero,
                self._zero, self._cookie, self._zero,
            ),
        ]  # fmt: skip
        results: deque[int] = deque(maxlen=2)
        calls: map[int] = map(_operator.call, steps)
        collecting = gc.isenabled()
        gc.disable()
        try:
            _room = make_room()  # to take memory from the kernel in between would be a call, too
            results.extend(calls)
            install_error, sent = results
            listener: int = struct.unpack_from("=i", control, _DESCRIPTOR_OFFSET)[0]
            if listener < 0:
                raise OSError(install_error, os.strerror(install_error), "seccomp")
            if sent != 1:
                raise raw.last_error("sendmsg")
            # Still with signals blocked: one could interrupt the call before the recorder has received it
            os.close(listener)
        finally:
            if collecting:
                gc.enable()
            _signal.pthread_sigmask(_signal.SIG_SETMASK, mask)
