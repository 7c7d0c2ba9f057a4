"""Tables for people: aligned columns, no wider than the terminal, nothing in them that a terminal would act on."""

import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

_GAP = "  "
_NARROWEST = 20
"""Characters of the last column, for which others give way."""


def table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], width: int | None, give_way: Sequence[str] = ()
) -> Iterator[str]:
    """The lines of a table: all columns but the last are numbers or short, the last takes what is left of the width.

    Columns without a single entry are left out. Where the width is not enough, those with a title in `give_way` go in
    that order, and a line at the end names them; then the texts of the last, which lose their beginning: of a test's id
    the end tells more. Without a width nothing goes.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    last = len(titles) - 1
    widths = [max(_width(row[column]) for row in (titles, *cells)) + len(_GAP) for column in range(last)]
    columns = [column for column in range(last) if column == 0 or any(row[column] for row in cells)]
    left = None
    gone: list[str] = []
    if width is not None:
        for column in (column for title in give_way for column in columns if titles[column] == title):
            if sum(widths[column] for column in columns) + _NARROWEST <= width:
                break
            columns.remove(column)
            gone.append(titles[column])
        left = max(width - sum(widths[column] for column in columns), 1)
    for row in (titles, *cells):
        aligned = [" " * (widths[column] - len(_GAP) - _width(row[column])) + row[column] for column in columns]
        yield _GAP.join([*aligned, row[last] if left is None else _ending(row[last], left)])
    if gone and width is not None:
        text = f"too narrow for: {', '.join(gone)} (a wider terminal, a file, a pipe and --json have all)"
        yield from textwrap.wrap(text, width)


def number(count: int) -> str:
    """With thousands apart, and nothing at all for 0: a table of counts is mostly empty."""
    return f"{count:,}" if count else ""


def printable(text: str) -> str:
    """With escapes in place of control characters and of halves of characters."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(_width_of(char) for char in text)


def _width_of(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _ending(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    used = 1
    for index in range(len(text) - 1, -1, -1):
        used += _width_of(text[index])
        if used > width:
            return f"…{text[index + 1 :]}"
    return text
