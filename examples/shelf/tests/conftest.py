"""Fixtures of the shelf's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from shelf import Client, Shelf, ShelfServer


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An empty shelf."""
    return Shelf(tmp_path / "shelf")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShelfServer]:
    """A server that the tests of a module share."""
    with ShelfServer(Shelf(tmp_path_factory.mktemp("served"))) as running:
        yield running


@pytest.fixture
def client(server: ShelfServer) -> Iterator[Client]:
    """A client of the server."""
    with Client(server.address) as connected:
        yield connected
