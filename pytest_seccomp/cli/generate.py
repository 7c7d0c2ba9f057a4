"""`pytest-seccomp generate`: a profile of the calls in traces."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_seccomp.cli.output import write_bytes, write_json, write_lines
from pytest_seccomp.cli.progress import progress, size
from pytest_seccomp.cli.result_file import result_file
from pytest_seccomp.errors import SeccompError
from pytest_seccomp.profile.actions import Action
from pytest_seccomp.trace.lock import locked
from pytest_seccomp.trace.replacement import replacing_one
from pytest_seccomp.trace.sources import find_all
from pytest_seccomp.trace.table import printable
from pytest_seccomp.trace.words import plural

if TYPE_CHECKING:  # what is imported in functions would be imported for all other commands as well
    from pytest_seccomp.formats.format import Format, Written
    from pytest_seccomp.formats.profile import Part, Profile
    from pytest_seccomp.formats.traced import Traced

_PYTHON = "python"
_STARTS = ("execve", "execveat")


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    text = "make a profile of the calls in traces"
    parser = commands.add_parser(
        "generate",
        help=text,
        description=f"{text.capitalize()}: those are allowed, and what is made around the program (base sets). A trace "
        "is named by its file, by its tests file, or by both. What the format cannot say is told, and stands in the "
        "profile, as far as that can hold a comment.",
    )
    parser.add_argument("traces", metavar="TRACE", type=Path, nargs="+", help="a trace or its tests file")
    parser.add_argument(
        "--format",
        metavar="FORMAT",
        required=True,
        help="oci (docker, podman, Kubernetes), nucleus, systemd, kubernetes (security-profiles-operator), minijail, "
        "bpf (bubblewrap), names, or one that a package adds",
    )
    output = "replace this file, unless it is a trace or a deny log (default: print it)"
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help=output)
    parser.add_argument(
        "--default",
        metavar="ACTION",
        type=_action,
        help="what becomes of other calls: errno:EPERM, kill_process, log, ... (default: the format's own)",
    )
    parser.add_argument(
        "--base",
        metavar="SET",
        action="append",
        default=[],
        help=f"allow this base set, too: {_PYTHON} (its start and end, recorded now), end, exec, runc-nnp, runc, "
        "crun-nnp, crun, bubblewrap, nucleus; may be repeated",
    )
    own = "without the base sets of what usually takes the format"
    parser.add_argument("--bare", action="store_true", help=own)
    tests = "leave out what fewer tests called (default: 1)"
    parser.add_argument("--min-tests", metavar="N", type=_positive, default=1, help=tests)
    parser.add_argument("--allow-incomplete", action="store_true", help="take traces that may lack calls, too")
    parser.add_argument("--json", action="store_true", help="tell programs what was written; with --output")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    from pytest_seccomp.cli.startup import recorded
    from pytest_seccomp.formats import bases, hooks
    from pytest_seccomp.formats.profile import Profile
    from pytest_seccomp.formats.traced import traced

    if arguments.json and arguments.output is None:
        raise SeccompError("--json tells what was written into a file: name one with --output")
    format = hooks.find(arguments.format)
    default = format.action(arguments.default)
    names = [*dict.fromkeys([*(() if arguments.bare else format.bases), *arguments.base])]
    for name in names:  # before anything is read or recorded
        if name != _PYTHON:
            bases.find(name, others=[_PYTHON])
    sources = find_all(arguments.traces)
    inputs = [file for source in sources for file in source.files]
    place = None if arguments.output is None else _place(arguments.output, inputs)
    read = size(source.files[-1] for source in sources)
    with progress(f"reading {plural(len(sources), 'trace')}", read) as step:
        found = traced(sources, min_tests=arguments.min_tests, allow_incomplete=arguments.allow_incomplete, step=step)
    arches = {call.arch for call in found.part.calls}
    others = [recorded() if name == _PYTHON else bases.find(name).part(arches) for name in names]
    remarks = [*found.remarks, *([bases.remark(names)] if names else [])]
    profile = Profile.of(found.name, default, [found.part, *others], remarks)
    if place is None and not format.is_text and sys.stdout.isatty():
        raise SeccompError(f"{format.name} is nothing for a terminal: name a file with --output")
    written = _written(format, profile)
    if place is None:
        write_bytes(written.data)
    else:
        real, lock = place
        with locked(lock), replacing_one(real) as file:
            file.write(written.data)
    _warn(written.left_out)
    if _PYTHON not in names and not arguments.bare and not any(call.name in _STARTS for call in found.part.calls):
        _warn([f"no program is started in the traces: --base {_PYTHON} allows what Python takes to start"])
    if place is not None:
        _tell(arguments, format, profile, found, written)
    return 0


def _place(output: Path, inputs: Iterable[Path]) -> tuple[Path, Path]:
    """As `result_file`. A format can look like anything, so what is there is replaced unless it is known for what no
    command can make again."""
    from pytest_seccomp.gate.allowed import is_trace

    place = result_file(output, "a profile", inputs, begins=b"")
    if is_trace(output):
        raise SeccompError(f"{output} is a trace, its tests file or a deny log, and no profile: name another file")
    return place


def _action(text: str) -> Action:
    try:
        return Action.parse(text)
    except SeccompError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _positive(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of tests: 1 or more")


def _written(format: "Format", profile: "Profile") -> "Written":
    """SeccompError where the format, which may be a package's, fails."""
    try:
        return format.write(profile)
    except SeccompError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise SeccompError(f"the format {format.name!r} fails: {reason}: tell those who have made it") from error


def _warn(texts: Iterable[str]) -> None:
    for text in texts:
        print(f"pytest-seccomp: warning: {printable(text)}", file=sys.stderr)


def _tell(
    arguments: argparse.Namespace, format: "Format", profile: "Profile", found: "Traced", written: "Written"
) -> None:
    """Say what is in a file."""
    if arguments.json:
        write_json(
            {
                "path": str(arguments.output),
                "format": format.name,
                "complete": found.complete,
                "default": str(profile.default),
                "architectures": list(profile.architectures),
                "parts": [_members(part) for part in profile.parts],
                "remarks": list(profile.remarks),
                "left_out": list(written.left_out),
            }
        )
        return
    lines = [f"{arguments.output}: {format.name}, {profile.default} for all other calls"]
    counts = ((part.origin, len(part.calls)) for part in profile.parts)
    lines += [f"  {origin}: {plural(count, 'call') if count else 'nothing more'}" for origin, count in counts]
    write_lines([*lines, *found.remarks])


def _members(part: "Part") -> dict[str, object]:
    calls = [
        {"syscall": call.number, "name": call.name, "arch": call.arch, "reason": call.reason or None}
        for call in part.calls
    ]
    return {"origin": part.origin, "calls": calls}
