"""Tables: aligned, within the width, and harmless to a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_seccomp.trace.table import number, printable, table


def width_of(text: str) -> int:
    """Columns that a terminal gives to a text."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def test_columns_are_aligned() -> None:
    rows = [("1,000", "a", "x"), ("1", "", "long text")]
    assert list(table(("count", "b", "text"), rows, width=None)) == [
        "count  b  text",
        "1,000  a  x",
        "    1     long text",
    ]


@pytest.mark.parametrize(("width", "shown"), [(30, "tests/test_io.py::test_copy"), (29, "…sts/test_io.py::test_copy")])
def test_a_text_too_long_loses_its_beginning(width: int, shown: str) -> None:
    assert list(table(("n", "test"), [("1", "tests/test_io.py::test_copy")], width)) == ["n  test", f"1  {shown}"]


def test_columns_give_way_in_their_order_and_are_named() -> None:
    titles, rows = ("count", "one", "two", "text"), [("1", "2", "3", "something")]
    give_way = ("two", "none", "one")
    assert next(table(titles, rows, 37, give_way)) == "count  one  two  text"
    assert list(table(titles, rows, 36, give_way)) == [
        "count  one  text",
        "    1    2  something",
        "too narrow for: two (a wider",
        "terminal, a file, a pipe and --json",
        "have all)",
    ]
    assert list(table(titles, rows, 31, give_way))[:3] == [
        "count  text",
        "    1  something",
        "too narrow for: two, one (a",
    ]


def test_the_other_columns_stay_and_the_last_text_is_cut() -> None:
    titles, rows = ("count", "one", "text"), [("1", "2", "something")]
    assert list(table(titles, rows, 17)) == ["count  one  text", "    1    2  …hing"]
    assert next(table(titles, rows, None, ("one",))) == "count  one  text"


def test_a_column_without_entries_is_left_out_but_the_first_is_not() -> None:
    assert list(table(("a", "b", "c", "text"), [("", "", "1", "x"), ("", "", "", "y")], None)) == [
        "a  c  text",
        "   1  x",
        "      y",
    ]


@given(st.lists(st.tuples(st.text("0123456789,", max_size=4), st.text(max_size=60))), st.integers(8, 60))
def test_no_row_is_wider_than_the_width(rows: list[tuple[str, str]], width: int) -> None:
    found = list(table(("a", "b"), rows, width))
    assert all(width_of(row) <= width for row in found)
    assert all(row.isprintable() for row in found)


@given(st.text())
def test_what_is_printable_can_be_printed_and_says_all(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    shown.encode()
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize(
    ("text", "shown"), [("a\x1b[31m", r"a\x1b[31m"), ("a\nb", r"a\nb"), ("\ud800", r"\ud800"), ("日本é", "日本é")]
)
def test_what_a_terminal_would_act_on_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_numbers_have_thousands_apart_and_no_zeros() -> None:
    assert [number(0), number(7), number(1234567)] == ["", "7", "1,234,567"]
