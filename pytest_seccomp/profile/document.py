"""A JSON document from outside, read member by member; errors name file, place and reason."""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.trace.paths import irregular
from pytest_seccomp.trace.reading import os_text

_T = TypeVar("_T")
_SHOWN = 60


@dataclass(slots=True, frozen=True)
class Node:
    """A value in a document, and where it stands."""

    file: Path
    place: str
    """As `syscalls[3].args[0].op`; empty for the whole document."""
    value: Any

    def wrong(self, reason: str) -> SeccompError:
        """The error that says what is wrong here."""
        return SeccompError(self.said(reason))

    def said(self, text: str) -> str:
        """Something about this place, for a warning."""
        return ": ".join(part for part in (str(self.file), self.place, text) if part)

    def members(self, known: Iterable[str], warnings: list[str]) -> dict[str, "Node"]:
        """Those of an object, without those that are null. One that is not known becomes a warning."""
        if type(self.value) is not dict:
            raise self.wrong(f"{self.shown()} is no object")
        found = {}
        for name, value in self.value.items():
            member = Node(self.file, f"{self.place}.{name}" if self.place else name, value)
            if name not in known:
                warnings.append(member.said(f"unknown member, not looked at{_hint(name, known)}"))
            elif value is not None:
                found[name] = member
        return found

    def items(self) -> Iterator["Node"]:
        """Those of a list."""
        if type(self.value) is not list:
            raise self.wrong(f"{self.shown()} is no list")
        for position, value in enumerate(self.value):
            yield Node(self.file, f"{self.place}[{position}]", value)

    def text(self) -> str:
        """A text that is not empty."""
        if type(self.value) is not str or not self.value:
            raise self.wrong(f"{self.shown()} is no text" if self.value != "" else "is empty")
        return self.value

    def natural(self, largest: int) -> int:
        """A whole number from 0 to `largest`."""
        if type(self.value) is not int or not 0 <= self.value <= largest:
            raise self.wrong(f"{self.shown()} is no number from 0 to {largest}")
        return self.value

    def chosen(self, table: Mapping[str, _T], what: str) -> _T:
        """What a name stands for; `what` is the noun for it, with its article."""
        name = self.text()
        if name not in table:
            raise self.wrong(f"{self.shown()} is no {what}{_hint(name, table)}")
        return table[name]

    def required(self, members: Mapping[str, "Node"], name: str) -> "Node":
        """A member of this object that has to be there."""
        if name not in members:
            raise self.wrong(f'"{name}" is missing')
        return members[name]

    def shown(self) -> str:
        """The value, shortened."""
        text = json.dumps(self.value)
        return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def read(path: Path) -> Node:
    """The document in a file. SeccompError where it cannot be read, is no JSON, or has a member twice in an object."""
    try:
        kind = irregular(path.stat().st_mode)
        if kind is not None:  # of which some have no end
            raise SeccompError(f"{path} is {kind}, which cannot be read as a profile: name a file")
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a name with NUL
        raise SeccompError(f"cannot read {path}: {os_text(error)}") from error
    try:
        return Node(path, "", json.loads(data, object_pairs_hook=_once))
    except json.JSONDecodeError as error:
        raise SeccompError(f"{path}: line {error.lineno}, column {error.colno}: no JSON ({error.msg})") from None
    except UnicodeDecodeError:
        raise SeccompError(f"{path}: no JSON (not UTF-8)") from None
    except RecursionError:
        raise SeccompError(f"{path}: no JSON (nested too deeply)") from None
    except _Repeated as error:
        raise SeccompError(f"{path}: an object has the member {json.dumps(error.name)} twice") from None
    except ValueError:  # sys.set_int_max_str_digits
        raise SeccompError(f"{path}: no JSON that can be read (a number of thousands of digits)") from None


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name that was meant, most likely."""
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1)), None)


def _hint(name: str, known: Iterable[str]) -> str:
    meant = nearest(name, known)
    return f": did you mean {meant}?" if meant else ""


class _Repeated(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _Repeated(name)
        found[name] = value
    return found
