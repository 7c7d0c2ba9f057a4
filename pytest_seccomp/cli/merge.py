"""`pytest-seccomp merge`: several traces, such as shards from several machines, into one."""

import argparse
import os
import shlex
from collections.abc import Iterable
from pathlib import Path

from pytest_seccomp.cli.loading import figures_members
from pytest_seccomp.cli.output import write_json, write_lines
from pytest_seccomp.cli.progress import Watched, progress, size
from pytest_seccomp.errors import RecorderError, SeccompError
from pytest_seccomp.trace.recorded import Recorded
from pytest_seccomp.trace.sources import Source, find_all, refuse_repeated
from pytest_seccomp.trace.store import Destination, Written, merge_traces
from pytest_seccomp.trace.words import in_words, plural


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    text = "join several traces into one"
    parser = commands.add_parser(
        "merge",
        help=text,
        description=f"{text.capitalize()}. A trace is named by its file, by its tests file, or by both; a run that "
        "could not write its trace, by the directory in which it has kept what was recorded. No input is changed. A "
        "trace that was there under the name of the output is replaced.",
    )
    inputs = "a trace, its tests file, or a directory of a run's records"
    parser.add_argument("inputs", metavar="TRACE", type=Path, nargs="+", help=inputs)
    output = "where the trace goes; missing directories are made"
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, required=True, help=output)
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    directories = [path for path in arguments.inputs if os.path.isdir(path)]
    refuse_repeated(directories)
    traces = find_all(path for path in arguments.inputs if path not in directories)
    sources: list[Source | Recorded] = [*traces, *map(_recorded, directories)]
    destination = Destination.check(arguments.output)
    for directory in directories:
        if destination.path.is_relative_to(os.path.realpath(directory)):
            raise SeccompError(f"{arguments.output} lies in {directory}, which is to be removed: name another output")
    with progress("merging", size(file for source in sources for file in _long_ones(source))) as step:
        written = merge_traces(destination, [Watched(source, step) for source in sources])
    if arguments.json:
        write_json({**_members(written), "traces": len(sources), **figures_members(written.figures)})
        return 0
    state = "complete" if written.complete else "INCOMPLETE"
    lines = [f"{arguments.output}: {state}, from {plural(len(sources), 'trace')}", in_words(written.figures)]
    if not written.complete:
        reasons = written.reasons or ["lines of a trace say so, without a reason"]
        lines += ["INCOMPLETE: calls may be missing:", *(f"  {reason}" for reason in reasons)]
    if directories:
        lines.append(f"no longer needed: rm -r {shlex.join(map(str, directories))}")
    write_lines(lines)
    return 0


def _long_ones(source: Source | Recorded) -> Iterable[Path]:
    """The files that are copied: of a trace the one with the tests."""
    return source.files[-1:] if isinstance(source, Source) else source.files


def _recorded(path: Path) -> Recorded:
    """What a run has left in a directory. SeccompError where that is nothing, or not all yet."""
    from pytest_seccomp.recorder import salvage
    from pytest_seccomp.recorder.spools import SpoolDirectory

    try:
        directory = SpoolDirectory.at(os.fspath(path))
    except (RecorderError, ValueError) as error:  # ValueError: a file that has but the name of ours
        raise SeccompError(f"{path} is a directory, but not one that a run has left: name a trace") from error
    recorded = Recorded(salvage.run_of(directory), directory.spools())
    if not recorded.spools:
        raise SeccompError(f"{path} holds no records: leave it out")
    if directory.wait_until_written(0):
        raise SeccompError(f"{path} is still written to: wait for the end of its run, and of all that it has started")
    return recorded


def _members(written: Written) -> dict[str, object]:
    return {
        "path": str(written.path),
        "tests_path": str(written.tests),
        "complete": written.complete,
        "lost": written.lost,
        "reasons": written.reasons,
    }
