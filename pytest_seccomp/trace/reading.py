"""Reading the files of a trace, line by line, in flat memory; errors name file and line.

The lines of a tests file repeat themselves: the same calls, the same small counts, the same worker. Parsed as JSON,
100,000 tests of 20 calls take longer than everything else together. So each distinct piece of text is parsed once,
strictly, and remembered; pieces that fit together make a line. A line of any other shape (written by another tool, say)
is parsed as JSON as a whole, with the same result.
"""

import errno
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.counts import PHASES, Call, Counts
from pytest_seccomp.trace.members import TEXT, take
from pytest_seccomp.trace.records import (
    TEST_OPENING,
    Head,
    Line,
    NewerFormat,
    Record,
    Run,
    Untold,
)

LONGEST_LINE = 128 * 1024 * 1024
"""Bytes. A line for a test that made every call of every architecture is shorter by far; /dev/zero has no end."""

MOST_REMEMBERED = 50_000
"""Pieces of text that a parser remembers before it starts anew: some 10 MB."""

_BUFFER = 1024 * 1024  # few system calls: the reader may itself be traced

_NUMBER = "([1-9][0-9]*)"
_COUNTS = re.compile(
    _NUMBER
    + r', "phases": \{'
    + "".join(rf'(?:(?:(?<=\{{)|(?<=[0-9]), )"{phase}": {_NUMBER})?' for phase in PHASES)
    + r"\}"
)
"""The usual counts of a test, `9, "phases": {"setup": 2, "call": 7}`, in order; anything else goes the long way."""

_Parsed = TypeVar("_Parsed")
raw_decode = json.JSONDecoder().raw_decode
"""The JSON value at a place in a text, and where it ends."""


def parsed_lines(path: Path, parse: Callable[[str], _Parsed]) -> Iterator[tuple[bytes, _Parsed]]:
    """Each line of a file, as it stands and as `parse` understands it. Blank lines are left out.

    Raises TraceError where the file cannot be read, or where `parse` raises ValueError, with file and line.
    """
    number = 0
    try:
        with path.open("rb", buffering=_BUFFER) as file:
            for raw in iter(partial(file.readline, LONGEST_LINE), b""):
                number += 1
                if len(raw) == LONGEST_LINE:
                    raise ValueError(f"longer than {LONGEST_LINE} bytes")
                if not raw.isspace():
                    yield raw, parse(raw.decode())
    except OSError as error:
        raise TraceError(f"cannot read {path}: {os_text(error)}") from error
    except ValueError as error:
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        remedy = "" if isinstance(error, NewerFormat) else ": not a trace, or damaged; record it anew or leave it out"
        raise TraceError(f"{path}:{number}: {reason}{remedy}") from error


def os_text(error: Exception) -> str:
    """What the operating system said, with the name of its error; what Python said, where it did not ask the system."""
    if not isinstance(error, OSError):
        return str(error)
    code = errno.errorcode.get(error.errno or 0)
    return f"{error.strerror or error}{f' ({code})' if code else ''}" if error.args else type(error).__name__


def remedy(error: OSError, otherwise: str = "make room or name another place") -> str:
    """What a user can do where files cannot be read or written."""
    if error.errno == errno.EMFILE:
        return "let no test leave a low limit of open files behind (RLIMIT_NOFILE)"
    if error.errno is None:  # as of a signal handler that raises TimeoutError
        return "let no test leave a timer behind, or whatever else raises it"
    return otherwise


def parse_object(text: str) -> dict[str, Any]:
    """A JSON object; ValueError for anything else."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON ({error.msg}, column {error.colno})") from None
    except ValueError:  # sys.set_int_max_str_digits
        raise ValueError("no JSON that can be read (a number of thousands of digits)") from None
    except RecursionError:
        raise ValueError("no JSON (nested too deeply)") from None
    if type(found) is not dict:
        raise ValueError("no JSON object")
    return found


class LineParser:
    """Understands the lines of PATH and of tests files alike."""

    __slots__ = ("_calls", "_counts", "_heads")

    def __init__(self) -> None:
        self._calls = Remembered(_parse_call, most=None)  # whoever adds up keeps them all anyway, one object for each
        self._counts = Remembered(_parse_counts)
        self._heads = Remembered(_parse_head)

    def __call__(self, text: str) -> Run | Line | Untold | Record:
        """What a line says; ValueError if it is none of ours."""
        try:
            return self._parse_test(text)
        except ValueError:  # of another shape, or wrong: the long way finds out which
            return self._parse_any(text)

    def _parse_test(self, text: str) -> Line:
        """A test's line exactly as we write it; ValueError for any other, right or wrong.

        That the pieces are sound by themselves proves that they were taken apart in the right places: put together
        again they are this line, and JSON text has one meaning.
        """
        opening, found_opening, rest = text.partition('"syscalls": [{')
        body, found_closing, closing = rest.partition('}], "sandboxes": ')
        if not (found_opening and found_closing and closing == "[]}\n" and opening.startswith(f'{TEST_OPENING}"')):
            raise ValueError("of another shape")
        nodeid, end = raw_decode(opening, len(TEST_OPENING))
        calls, counts = self._calls, self._counts
        pieces = [entry.partition(', "count": ') for entry in body.split("}, {")]
        return Line(self._heads[opening[end:]], nodeid, [(calls[call], counts[count]) for call, _, count in pieces])

    def _parse_any(self, text: str) -> Run | Line | Untold | Record:
        members = parse_object(text)
        if "kind" not in members:
            return Record.from_object(members)
        kind = take(members, "kind", TEXT)
        if kind == "run":
            return Run.from_object(members)
        if kind == "trace":
            return Untold.from_object(members)
        line = Line.from_object(members)
        line.calls = [(self._same(call), counts) for call, counts in line.calls]
        return line

    def _same(self, call: Call) -> Call:
        """The one object for this call."""
        return self._calls.setdefault(call.text, call)


class Remembered(dict[str, _Parsed]):
    """What texts mean, each parsed once: `remembered[text]`. Starts anew when it knows `most` texts."""

    __slots__ = ("_most", "_parse")

    def __init__(self, parse: Callable[[str], _Parsed], most: int | None = MOST_REMEMBERED) -> None:
        super().__init__()
        self._parse = parse
        self._most = most

    def __missing__(self, text: str) -> _Parsed:
        meaning = self._parse(text)
        if len(self) == self._most:
            self.clear()
        self[text] = meaning
        return meaning


def _parse_call(text: str) -> Call:
    members = parse_object(f"{{{text}}}")
    exactly(members, ("syscall", "name", "arch"))
    return Call.from_object(members)


def _parse_counts(text: str) -> Counts:
    match = _COUNTS.fullmatch(text)
    if match is None:
        raise ValueError("of another shape")
    count, *phases = map(int, match.groups("0"))
    if count != sum(phases):
        raise ValueError("of another shape")
    return Counts(count, phases, text)


def _parse_head(text: str) -> Head:
    members = parse_object(f'{{"nodeid": ""{text}"syscalls": []}}')
    exactly(members, ("nodeid", "outcome", "worker", "rerun", "backend", "complete", "lost", "syscalls"))
    members["kind"] = "test"
    return Head.from_object(members)


def exactly(members: dict[str, Any], names: tuple[str, ...]) -> None:
    """ValueError unless these are the members, in this order: a piece with others is not a piece of ours."""
    if tuple(members) != names:
        raise ValueError("of another shape")
