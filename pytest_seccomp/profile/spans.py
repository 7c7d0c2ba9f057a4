"""Where the values of a JSON text stand in it, so that one can be changed and the rest left as somebody wrote it."""

import json
import re
from dataclasses import dataclass, field
from json.decoder import scanstring  # type: ignore[attr-defined]  # of the standard library since 2.0
from typing import Any

_BLANK = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


@dataclass(slots=True)
class Span:
    """A value, and where it stands."""

    value: Any
    begin: int
    end: int
    items: list["Span"] = field(default_factory=list)
    """Those of a list."""
    members: dict[str, "Span"] = field(default_factory=dict)
    """Those of an object."""


def spans(text: str) -> Span:
    """The value of a JSON text, which is known to be sound."""
    return _value(text, _next(text, 0))


def _next(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    assert match is not None, "it matches nothing as well"
    return match.end()


def _value(text: str, begin: int) -> Span:
    if text[begin] not in "[{":
        value, end = _DECODER.raw_decode(text, begin)
        return Span(value, begin, end)
    found = Span({} if text[begin] == "{" else [], begin, begin)
    position = _next(text, begin + 1)
    while text[position] not in "]}":
        key = ""
        if text[begin] == "{":
            key, position = scanstring(text, position + 1)
            position = _next(text, _next(text, position) + 1)  # past the colon
        one = _value(text, position)
        if text[begin] == "{":
            found.members[key] = one
            found.value[key] = one.value
        else:
            found.items.append(one)
            found.value.append(one.value)
        position = _next(text, one.end)
        if text[position] == ",":
            position = _next(text, position + 1)
    found.end = position + 1
    return found
