"""`python -m notes FOLDER`: serve until SIGTERM or SIGINT, then answer who has asked already, and end."""

import signal
import sys
import threading
from pathlib import Path

from notes.service import NotesServer


def main(folder: Path) -> None:
    """Serve the notes of a folder."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with NotesServer(folder) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        print("port", server.server_port, flush=True)
        stop.wait()
        server.shutdown()
        serving.join()
    print("stopped", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
