"""`pytest-seccomp record`: trace a program and all that it starts, without pytest."""

import argparse
import errno
import json
import os
import shlex
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_seccomp.cli.loading import figures_members
from pytest_seccomp.errors import SeccompError
from pytest_seccomp.recorder import backends
from pytest_seccomp.trace.destination import Destination
from pytest_seccomp.trace.table import printable
from pytest_seccomp.trace.words import plural

FAILED, NOT_EXECUTABLE, NOT_FOUND = 125, 126, 127
"""As of env(1), nohup(1) and timeout(1): other numbers are for the command."""

if TYPE_CHECKING:
    from pytest_seccomp.recorder.program_run import ProgramRun
    from pytest_seccomp.trace.store import Written


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    text = "trace any program and all that it starts"
    parser = commands.add_parser(
        "record",
        help=text,
        usage="%(prog)s -o OUT [--backend NAME] [--append] [--no-wait] [-q | --json] -- COMMAND [ARGUMENT ...]",
        description=f"{text.capitalize()}: the trace begins with its execve. Its streams, its terminal and its signals "
        f"are its own. Exit status: that of COMMAND, or the signal that has ended it; {FAILED} where it was not "
        f"recorded, {NOT_EXECUTABLE} where it cannot be executed, {NOT_FOUND} where it is not found.",
    )
    output = "where the trace goes; missing directories are made"
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, required=True, help=output)
    names = (backends.AUTO, *backends.NAMES)
    choice = f"how calls are seen: {', '.join(names)} (default: {backends.AUTO})"
    parser.add_argument("--backend", metavar="NAME", choices=names, default=backends.AUTO, help=choice)
    parser.add_argument("--append", action="store_true", help="add to the trace that is there instead of replacing it")
    wait = "end when COMMAND has ended, also where it has left processes running (default: wait for these)"
    parser.add_argument("--no-wait", action="store_true", help=wait)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("-q", "--quiet", action="store_true", help="say nothing on stderr unless the trace is incomplete")
    form.add_argument("--json", action="store_true", help="say it on stderr for programs")
    parser.add_argument("words", nargs="*", help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    from pytest_seccomp.recorder.program import CannotExecute  # ctypes, which the other commands do without
    from pytest_seccomp.recorder.program_run import Command, ProgramRun
    from pytest_seccomp.recorder.program_wait import end_like, signals_held

    argv: list[str] = arguments.command or []
    if arguments.words:
        raise SeccompError(f"{arguments.words[0]}: write -- before the command that is to be recorded")
    if not argv:
        raise SeccompError("what is to be recorded is missing: pytest-seccomp record -o OUT -- COMMAND")
    path = _find(argv[0])
    if path is None:
        raise _Refused(f"{shlex.quote(argv[0])} is not found: name a program of the PATH, or a file", NOT_FOUND)
    destination = Destination.check(arguments.output, append=arguments.append)
    candidates = backends.NAMES if arguments.backend == backends.AUTO else (arguments.backend,)
    with signals_held() as blocked:
        try:
            recording = ProgramRun.begin(Command(path, argv), destination, candidates, blocked, append=arguments.append)
        except CannotExecute as error:
            raise _Refused(f"cannot execute {path}: {_why(error.errno)}", NOT_EXECUTABLE) from error
        status = recording.wait(_tell_of_others, for_others=not arguments.no_wait)
        others = len(recording.others())
        written = recording.write(status)
    if others and not arguments.quiet and not arguments.json:
        _say([f"{_processes(others)} still there: what they do from now on is not recorded"])
    _tell(written, recording, status, arguments)
    end_like(status)
    return os.waitstatus_to_exitcode(status)


class _Refused(SeccompError):
    """The program is not run, with an exit status of its own."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def _find(name: str) -> str | None:
    """The file of a program, as a shell finds it."""
    if os.sep in name:
        return name if os.path.lexists(name) else None
    return shutil.which(name)


def _why(code: int) -> str:
    remedy = {
        errno.EACCES: "make it executable (chmod +x), and its file system not noexec",
        errno.ENOENT: "the interpreter in its first line, or its dynamic loader, is missing",
        errno.ENOEXEC: "it is no program of this machine, or a script without #! in its first line",
    }.get(code)
    return f"{os.strerror(code)}{f': {remedy}' if remedy else ''}"


def _tell_of_others(status: int, others: int) -> None:
    ended = f"was ended by {_signal(status)}" if os.WIFSIGNALED(status) else "has ended"
    wait = "so recording goes on: Ctrl-C ends it, --no-wait does not wait"
    _say([f"the program {ended}, but {_processes(others)} still there, {wait}"])


def _processes(others: int) -> str:
    return "1 process that it has started is" if others == 1 else f"{others} processes that it has started are"


def _tell(written: "Written", recording: "ProgramRun", status: int, arguments: argparse.Namespace) -> None:
    """On stderr, where the program has had its say."""
    incomplete = [] if written.complete else ["INCOMPLETE: calls may be missing:", *map("  {}".format, written.reasons)]
    if arguments.json:
        members = {
            "path": str(written.path),
            "tests_path": str(written.tests),
            "backend": recording.backend,
            "notes": recording.notes,
            "exit_status": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
            "complete": written.complete,
            "lost": written.lost,
            "reasons": written.reasons,
            **figures_members(written.figures),
        }
        _write(json.dumps(members))
        return
    if arguments.quiet:
        _say([f"{arguments.output} is incomplete: {'; '.join(written.reasons)}"] if incomplete else [])
        return
    figures = written.figures
    calls = f"{plural(figures.in_tests, 'call')} of {plural(figures.distinct, 'kind')}"
    state = "complete" if written.complete else "INCOMPLETE"
    end = [f"ended by {_signal(status)}"] if os.WIFSIGNALED(status) else []
    _say(
        [
            *map("note: {}".format, recording.notes),
            f"{arguments.output}: {', '.join([state, recording.backend, calls, *end])}",
            *incomplete,
        ]
    )


def _signal(status: int) -> str:
    number = os.WTERMSIG(status)
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time one
        return f"signal {number}"


def _say(lines: list[str]) -> None:
    for line in lines:
        _write(f"pytest-seccomp: {printable(line)}")


def _write(line: str) -> None:
    if sys.stderr is not None:  # as after 2>&- in a shell
        with suppress(OSError):
            print(line, file=sys.stderr)
