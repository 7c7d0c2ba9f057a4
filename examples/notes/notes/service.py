"""The service: PUT and GET a note, GET / for their names, COPY a note."""

import os
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Request(BaseHTTPRequestHandler):
    """One request after another of a client."""

    server: "NotesServer"
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with a note, or with the names of all."""
        if self.path == "/":
            self._answer("\n".join(sorted(note.name for note in self.server.folder.glob("*.note"))).encode())
        elif (note := self._note(self.path)).exists():
            self._answer(note.read_bytes())
        else:
            self._answer(b"no such note", HTTPStatus.NOT_FOUND)

    def do_PUT(self) -> None:
        """Write a note, whole or not at all."""
        draft = self._note(f"{self.path}-{os.urandom(4).hex()}").with_suffix(".draft")
        draft.write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
        draft.replace(self._note(self.path))
        self._answer(b"written")

    def do_COPY(self) -> None:
        """Have a second name for a note."""
        try:
            self._note(self.headers["Destination"]).hardlink_to(self._note(self.path))
        except OSError as error:
            self._answer(os.strerror(error.errno or 0).encode(), HTTPStatus.INTERNAL_SERVER_ERROR)
        else:
            self._answer(b"copied")

    def log_message(self, format: str, *values: object) -> None:
        """Say nothing."""

    def _note(self, name: str) -> Path:
        return self.server.folder / f"{Path(name).name}.note"

    def _answer(self, body: bytes, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class NotesServer(ThreadingHTTPServer):
    """Serves the notes of a folder on a free port of this host."""

    daemon_threads = False  # closing waits for those who have asked already

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(("127.0.0.1", 0), Request)
        self.folder = folder
