"""The server: lines over TCP, a thread for each connection.

`PUT key value`, `GET key` and `KEYS`; an answer is one line that begins with OK or ERROR.
"""

import socketserver
import threading
from types import TracebackType
from typing import Self

from shelf.store import Shelf


class Connection(socketserver.StreamRequestHandler):
    """One client."""

    server: "ShelfServer"

    def handle(self) -> None:
        """Answer line by line until the client has enough."""
        for line in self.rfile:
            self.wfile.write(self.answer(line.decode().split()) + b"\n")

    def answer(self, words: list[str]) -> bytes:
        """Return the answer to one request."""
        try:
            match words:
                case ["PUT", key, value]:
                    self.server.shelf.put(key, value.encode())
                    return b"OK"
                case ["GET", key]:
                    return b"OK " + self.server.shelf.get(key)
                case ["KEYS"]:
                    return b"OK " + " ".join(sorted(self.server.shelf)).encode()
                case _:
                    return b"ERROR unknown request"
        except (KeyError, ValueError) as error:
            return f"ERROR {error}".encode()


class ShelfServer(socketserver.ThreadingTCPServer):
    """Serves a shelf on a free port of this host; a context manager."""

    allow_reuse_address = True

    def __init__(self, shelf: Shelf) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.shelf = shelf
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, port = self.socket.getsockname()
        return host, port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
