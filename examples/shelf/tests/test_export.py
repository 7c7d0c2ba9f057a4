from shelf import Shelf, export_sorted


def test_lines_are_sorted(shelf: Shelf) -> None:
    for key, value in {"pear": b"3", "apple": b"1", "fig": b"2"}.items():
        shelf.put(key, value)
    assert export_sorted(shelf) == "apple 1\nfig 2\npear 3\n"


def test_an_empty_shelf_exports_nothing(shelf: Shelf) -> None:
    assert export_sorted(shelf) == ""
