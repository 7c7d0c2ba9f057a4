"""Sockets between pytest, the host and the supervisors."""

import _socket
import struct

from pytest_seccomp.linux import sockets
from pytest_seccomp.linux.sockets import Socket


def stream_pair() -> tuple[int, int]:
    """The descriptors of two connected sockets."""
    ours, theirs = sockets.stream_pair()
    return ours.detach(), theirs.detach()


def limit_waiting(descriptor: int, milliseconds: int) -> None:
    """Have the kernel end the wait for something to come, with EAGAIN, after some time (socket(7), SO_RCVTIMEO): a poll
    would be a call without a cookie. It is the socket's own, whoever has it."""
    limit = struct.pack("@ll", milliseconds // 1000, milliseconds % 1000 * 1000)
    with Socket(fileno=descriptor) as own:
        own.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVTIMEO, limit)
        own.detach()
