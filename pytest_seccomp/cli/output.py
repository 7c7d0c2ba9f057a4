"""What a command writes to standard output: lines for people, or one JSON object for programs."""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from io import TextIOWrapper
from typing import Any

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.trace.reading import os_text
from pytest_seccomp.trace.table import printable


def open_output() -> None:
    """Make standard output ready to take any text. SeccompError where there is none, as after `>&-` in a shell."""
    # The type stub does not know: https://docs.python.org/3/library/sys.html#sys.__stdout__
    if sys.stdout is None:
        raise SeccompError("standard output is closed: let it go to a file or a pipe")
    if isinstance(sys.stdout, TextIOWrapper):  # a test's id may hold what the terminal's encoding cannot say
        sys.stdout.reconfigure(errors="backslashreplace")


def write_lines(lines: Iterable[str]) -> None:
    """Write lines, with escapes in place of what a terminal would act on. SeccompError where they cannot be written."""
    try:
        for line in lines:
            sys.stdout.write(f"{printable(line)}\n")
    except OSError as error:
        raise _failed(error) from error
    flush()


def write_bytes(data: bytes) -> None:
    """Write them as they are, as for a file. SeccompError where they cannot be written."""
    flush()
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise _failed(error) from error


def write_json(members: Mapping[str, Any]) -> None:
    """Write an object in one line."""
    write_lines([json.dumps(members)])


def flush() -> None:
    """Write what is buffered. SeccompError where that fails, BrokenPipeError where nobody reads any more."""
    try:
        sys.stdout.flush()
    except OSError as error:
        raise _failed(error) from error


def terminal_width() -> int | None:
    """Columns of the terminal that standard output is; None where it is none: then nothing is cut off."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _failed(error: OSError) -> Exception:
    # Python would try again to write what is buffered when it ends, and complain
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return error
    return SeccompError(f"cannot write to standard output: {os_text(error)}: let it go elsewhere")
