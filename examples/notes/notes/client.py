"""A client of the service."""

from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection


def ask(port: int, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, str]:
    """Make one request; status and answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def visit(port: int, clients: int, notes: int) -> int:
    """Many clients at once, each of which writes notes and reads them again; how many were as they should be."""

    def work(client: int) -> int:
        right = 0
        for note in range(notes):
            path, text = f"/{client}-{note}", f"note {note} of {client}\n" * 100
            right += ask(port, "PUT", path, text)[0] == 200 and ask(port, "GET", path) == (200, text)
        return right

    with ThreadPoolExecutor(clients) as pool:
        return sum(pool.map(work, range(clients)))
