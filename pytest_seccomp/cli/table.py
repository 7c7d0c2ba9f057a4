"""Tables for people: aligned columns, no wider than the terminal, nothing in them that a terminal would act on."""

import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

_NARROWEST = 8


def terminal_width() -> int | None:
    """Columns of the terminal that standard output is; None where it is none: then nothing is cut off."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], width: int | None) -> Iterator[str]:
    """The lines of a table: all columns but the last are numbers or short, the last takes what is left of the width.

    Where a text is longer than that, its beginning gives way: of a test's id the end tells more.
    """
    cells = [list(titles), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(_width(row[column]) for row in cells) for column in range(len(titles) - 1)]
    left = None if width is None else max(width - sum(widths) - 2 * len(widths), _NARROWEST)
    for row in cells:
        padded = [" " * (most - _width(cell)) + cell for most, cell in zip(widths, row, strict=False)]
        yield "  ".join([*padded, row[-1] if left is None else _ending(row[-1], left)])


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
