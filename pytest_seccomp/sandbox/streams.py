"""Sockets between pytest, the host and the supervisors."""

import socket
import struct


def stream_pair() -> tuple[int, int]:
    """The descriptors of two connected sockets."""
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()


def limit_waiting(descriptor: int, milliseconds: int) -> None:
    """Have the kernel end the wait for something to come, with EAGAIN, after some time (socket(7), SO_RCVTIMEO): a poll
    would be a call without a cookie. It is the socket's own, whoever has it."""
    limit = struct.pack("@ll", milliseconds // 1000, milliseconds % 1000 * 1000)
    with socket.socket(fileno=descriptor) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        own.detach()
