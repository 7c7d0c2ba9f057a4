"""The commands of `pytest-seccomp`, one file each: `add` declares its arguments, `run` carries it out.

Exit status: what the command returns, 2 for an error, which is one line on stderr.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import NoReturn

import pytest_seccomp
from pytest_seccomp.cli import doctor, merge, show, why
from pytest_seccomp.cli.table import printable
from pytest_seccomp.errors import SeccompError

ERROR = 2


class _Parser(argparse.ArgumentParser):
    """Errors as everywhere in this project: one line, with what to do."""

    def error(self, message: str) -> NoReturn:
        raise SeccompError(f"{message}: see {self.prog} --help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, given without the program's name (default: that of this process); returns the exit status."""
    if isinstance(sys.stdout, TextIOWrapper):  # a test's id may hold what the terminal's encoding cannot say
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        arguments = _parser().parse_args(argv)
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except SeccompError as error:
        print(f"pytest-seccomp: error: {printable(str(error))}", file=sys.stderr)
        return ERROR
    except BrokenPipeError:
        # The reader has seen enough, as in `show | head`. Python would complain again when it flushes at exit.
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return status


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="pytest-seccomp", description="System calls of test suites: traces, and where calls come from."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {pytest_seccomp.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, parser_class=_Parser)
    for module in (doctor, merge, show, why):
        module.add(commands)
    return parser
