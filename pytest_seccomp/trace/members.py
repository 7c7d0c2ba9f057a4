"""The members of a JSON object from outside, checked: each ValueError says which one is wrong, and how."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

INT = (int,)
TEXT = (str,)
TEXT_OR_NULL = (str, type(None))
INT_OR_NULL = (int, type(None))
BOOL = (bool,)
LIST = (list,)
OBJECT = (dict,)


def take(members: Mapping[str, Any], name: str, types: tuple[type, ...]) -> Any:
    """The member of that name; ValueError where it is missing or of another type (true is no number)."""
    try:
        value = members[name]
    except KeyError:
        raise ValueError(f'"{name}" is missing') from None
    if type(value) not in types:
        raise ValueError(f'"{name}" cannot be {_shortened(value)}')
    return value


def natural(members: Mapping[str, Any], name: str) -> int:
    """The member of that name, a number from 0 on."""
    value: int = take(members, name, INT)
    if value < 0:
        raise ValueError(f'"{name}" cannot be {value}')
    return value


def entries(members: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """The objects in the member `syscalls`."""
    return objects(members, "syscalls")


def objects(members: Mapping[str, Any], name: str) -> Iterable[Mapping[str, Any]]:
    """The objects in the member of that name, a list."""
    found: list[Any] = take(members, name, LIST)
    for entry in found:
        if type(entry) is not dict:
            raise ValueError(f'"{name}" cannot hold {_shortened(entry)}')
    return found


def texts(members: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The texts in the member of that name, a list."""
    found: list[Any] = take(members, name, LIST)
    if not all(type(text) is str for text in found):
        raise ValueError(f'"{name}" is a list of texts')
    return tuple(found)


def _shortened(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
