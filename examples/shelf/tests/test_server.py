from concurrent.futures import ThreadPoolExecutor

import pytest
from shelf import Client, ShelfServer


def test_put_and_get(client: Client) -> None:
    assert client.ask("PUT answer 42") == "OK"
    assert client.ask("GET answer") == "OK 42"


def test_keys_are_sorted(client: Client) -> None:
    for key in ("b", "a", "c"):
        client.ask(f"PUT {key} x")
    keys = client.ask("KEYS").split()[1:]
    assert keys == sorted(keys)
    assert {"a", "b", "c"} <= set(keys)


@pytest.mark.parametrize("line", ["GET missing", "GET ../escape", "SHOUT"])
def test_errors_are_answers(client: Client, line: str) -> None:
    assert client.ask(line).startswith("ERROR ")


def test_many_clients_at_once(server: ShelfServer) -> None:
    def visit(number: int) -> str:
        with Client(server.address) as client:
            client.ask(f"PUT visitor-{number} {number}")
            return client.ask(f"GET visitor-{number}")

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(visit, range(8))) == [f"OK {number}" for number in range(8)]
