"""The client: one connection to a server."""

import socket
from types import TracebackType
from typing import Self


class Client:
    """Asks a shelf server at `address`; a context manager. A wait of `timeout` seconds is a TimeoutError."""

    def __init__(self, address: tuple[str, int], timeout: float = 10.0) -> None:
        self._connection = socket.create_connection(address, timeout=timeout)
        self._stream = self._connection.makefile("rwb")

    def ask(self, line: str) -> str:
        """Send a request and return the answer, both without the end of the line."""
        self._stream.write(line.encode() + b"\n")
        self._stream.flush()
        return self._stream.readline().decode().rstrip("\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stream.close()
        self._connection.close()
