"""The commands of `pytest-seccomp`, one file each: `add` declares its arguments, `run` carries it out.

Exit status: what the command returns, 2 for an error (of `record` 125), which is one line on stderr.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

import pytest_seccomp
from pytest_seccomp.cli import (
    check,
    completion,
    diff,
    doctor,
    generate,
    groups,
    merge,
    output,
    prune,
    record,
    show,
    why,
)
from pytest_seccomp.errors import SeccompError
from pytest_seccomp.trace.reading import os_text
from pytest_seccomp.trace.table import printable

ERROR = 2


class _Parser(argparse.ArgumentParser):
    """Errors as everywhere in this project: one line, with what to do."""

    def error(self, message: str) -> NoReturn:
        raise SeccompError(f"{message}: see {self.prog} --help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, given without the program's name (default: that of this process); returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    failed = record.FAILED if argv[:1] == ["record"] else ERROR
    try:
        output.open_output()
        given, command = _split(argv)
        parser = _parser()
        try:
            arguments, unknown = parser.parse_known_args(given, argparse.Namespace(command=command))
            if unknown and not getattr(arguments, "words", ()):  # options of a command without --, which record tells
                parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        except SystemExit:  # --help or --version, which has been printed
            output.flush()
            return 0
        status: int = arguments.run(arguments)
        return status
    except BrokenPipeError:  # the reader has seen enough, as in `show | head`
        return 128 + signal.SIGPIPE
    except (SeccompError, OSError) as error:
        _complain(error)
        return getattr(error, "status", failed)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _split(argv: Sequence[str]) -> tuple[Sequence[str], Sequence[str] | None]:
    """What is given to `record` without the command that it records, and that command. Here, because argparse would
    take a later -- out of the command."""
    if argv[:1] != ["record"] or "--" not in argv:
        return argv, None
    end = list(argv).index("--")
    return argv[:end], argv[end + 1 :]


def _complain(error: SeccompError | OSError) -> None:
    text = str(error)
    if isinstance(error, OSError):  # which nobody has expected where it came from
        text = f"{error.filename}: {os_text(error)}" if error.filename else os_text(error)
    if sys.stderr is not None:  # as after 2>&- in a shell: print() would take standard output instead
        with suppress(OSError):
            print(f"pytest-seccomp: error: {printable(text)}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="pytest-seccomp", description="System calls of test suites: traces, and where calls come from."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {pytest_seccomp.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, parser_class=_Parser)
    for module in (check, completion, diff, doctor, generate, groups, merge, prune, record, show, why):
        module.add(commands)
    return parser
