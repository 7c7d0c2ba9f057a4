"""Sockets between processes of ours, whatever the code under test has made of those of Python.

`socket.socket` may be another when one is made (pytest-socket, gevent), and `socket.socketpair` takes what is there.
Source: socketpair(2).
"""

import _socket
from typing import Self


class Socket(_socket.socket):
    """A socket for `with` that waits as long as it takes."""

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
        """That of a descriptor, or a new one. Raises OSError."""
        super().__init__(family, type, proto, fileno)
        if self.gettimeout() is not None:  # socket.setdefaulttimeout: it would be O_NONBLOCK, for who else has it, too
            self.settimeout(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def stream_pair() -> tuple[Socket, Socket]:
    """Two connected sockets, close-on-exec. Raises OSError."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    kind = _socket.AF_UNIX, _socket.SOCK_STREAM, 0
    return Socket(*kind, ours.detach()), Socket(*kind, theirs.detach())
