import threading
from pathlib import Path

import pytest
from shelf import Shelf


def test_a_value_comes_back(shelf: Shelf) -> None:
    shelf.put("answer", b"42")
    assert shelf.get("answer") == b"42"


def test_a_value_is_replaced(shelf: Shelf) -> None:
    shelf.put("answer", b"41")
    shelf.put("answer", b"42")
    assert shelf.get("answer") == b"42"
    assert list(shelf) == ["answer"]


def test_a_removed_key_is_gone(shelf: Shelf) -> None:
    shelf.put("answer", b"42")
    shelf.remove("answer")
    with pytest.raises(KeyError):
        shelf.get("answer")


@pytest.mark.parametrize("key", ["", "../escape", ".hidden", "a/b", "x" * 65])
def test_what_is_no_key_is_refused(shelf: Shelf, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        shelf.put(key, b"")


def test_a_shelf_is_found_again(tmp_path: Path) -> None:
    Shelf(tmp_path).put("answer", b"42")
    assert Shelf(tmp_path).get("answer") == b"42"


def test_a_reader_never_sees_half_a_value(shelf: Shelf) -> None:
    values = {b"a" * 100_000, b"b" * 100_000}
    shelf.put("large", min(values))

    def write() -> None:
        for _ in range(5):
            for value in values:
                shelf.put("large", value)

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        assert shelf.get("large") in values
    writer.join()
