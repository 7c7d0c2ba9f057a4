"""Messages with descriptors over a stream socket: sendmsg(2) and recvmsg(2), with a cookie in an argument that both
ignore, so that they are in no trace (see `marked`).

For any number of threads. The GIL is given up meanwhile, because an answer may take long.
Sources: sendmsg(2), unix(7), include/linux/socket.h.
"""

import ctypes
import socket
import struct
from collections.abc import Sequence
from typing import ClassVar

from pytest_seccomp.linux import raw
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.raw import Word

_libc = ctypes.CDLL(None, use_errno=True)

_MOST_DESCRIPTORS = 253
"""In one message (include/net/scm.h, SCM_MAX_FD)."""
_PIECE = 65536
_HEADER = struct.Struct("=Qii")
_CONTROL_LENGTH = (_HEADER.size + 4 * _MOST_DESCRIPTORS + 7) & ~7


class IoVec(ctypes.Structure):
    """struct iovec"""

    _fields_: ClassVar = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class MessageHeader(ctypes.Structure):
    """struct user_msghdr, as the kernel has it; musl's own struct msghdr differs in the types, not in the layout."""

    _fields_: ClassVar = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("iov", ctypes.POINTER(IoVec)),
        ("iov_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_uint),
    ]


class Messages:
    """Sends and receives with one cookie; 0 where nobody traces."""

    def __init__(self, cookie: int = 0) -> None:
        self._cookie = Word(cookie)
        self._sendmsg = Word(native().sendmsg)
        self._recvmsg = Word(native().recvmsg)

    def send(self, connection: int, data: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send all bytes, with any number of descriptors, waiting where there is no room. Raises OSError, EBADF also
        where one of the descriptors is none."""
        rest = list(descriptors)
        while len(rest) > _MOST_DESCRIPTORS:
            self._send_piece(connection, data[:1], rest[:_MOST_DESCRIPTORS])
            data, rest = data[1:], rest[_MOST_DESCRIPTORS:]
        while data:
            data = data[self._send_piece(connection, data, rest) :]
            rest = []

    def send_now(self, connection: int, data: bytes) -> int:
        """Send what there is room for; returns the number of bytes, which may be 0. Raises OSError."""
        try:
            return self._send_piece(connection, data, [], socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def receive(self, connection: int, *, wait: bool = True) -> tuple[bytes, list[int]]:
        """What is there, with the descriptors that came along, close-on-exec; no bytes at the end of the stream.

        Raises OSError, BlockingIOError where there is nothing yet and it is not to wait.
        """
        buffer = ctypes.create_string_buffer(_PIECE)
        control = ctypes.create_string_buffer(_CONTROL_LENGTH)
        vector = IoVec(ctypes.cast(buffer, ctypes.c_void_p), _PIECE)
        header = MessageHeader(
            None, 0, ctypes.pointer(vector), 1, ctypes.cast(control, ctypes.c_void_p), _CONTROL_LENGTH, 0
        )
        flags = socket.MSG_CMSG_CLOEXEC | (0 if wait else socket.MSG_DONTWAIT)
        received = self._call("recvmsg", self._recvmsg, connection, header, flags)
        descriptors: list[int] = []
        if header.control_length >= _HEADER.size:
            length, level, kind = _HEADER.unpack_from(control)
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors += struct.unpack_from(f"={(length - _HEADER.size) // 4}i", control, _HEADER.size)
        return buffer.raw[:received], descriptors

    def _send_piece(self, connection: int, data: bytes, descriptors: list[int], flags: int = 0) -> int:
        piece = data[:_PIECE]
        buffer = ctypes.create_string_buffer(piece, len(piece))
        vector = IoVec(ctypes.cast(buffer, ctypes.c_void_p), len(piece))
        header = MessageHeader(None, 0, ctypes.pointer(vector), 1, None, 0, 0)
        if descriptors:
            length = _HEADER.size + 4 * len(descriptors)
            packed = _HEADER.pack(length, socket.SOL_SOCKET, socket.SCM_RIGHTS)
            packed += struct.pack(f"={len(descriptors)}i", *descriptors)
            control = ctypes.create_string_buffer(packed, (length + 7) & ~7)
            header.control = ctypes.cast(control, ctypes.c_void_p)
            header.control_length = len(control)
        return self._call("sendmsg", self._sendmsg, connection, header, flags | socket.MSG_NOSIGNAL)

    def _call(self, name: str, number: Word, connection: int, header: MessageHeader, flags: int) -> int:
        while True:
            words = number, Word(connection), ctypes.byref(header), Word(flags), _ZERO, self._cookie, _ZERO
            result: int = _function(*words)
            if result >= 0:
                return result
            error = raw.last_error(name)
            if not raw.interrupted(error):
                raise error


_ZERO = Word(0)
_function = _libc["syscall"]
_function.restype = ctypes.c_long
