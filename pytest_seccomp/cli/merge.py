"""`pytest-seccomp merge`: several traces, such as shards from several machines, into one."""

import argparse
import json
from pathlib import Path

from pytest_seccomp.cli.loading import figures_members, in_words
from pytest_seccomp.cli.table import printable
from pytest_seccomp.trace.sources import find_all
from pytest_seccomp.trace.store import Destination, merge_traces


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    text = "join several traces into one"
    parser = commands.add_parser(
        "merge",
        help=text,
        description=f"{text.capitalize()}. A trace is named by its file, which brings its tests file along if that is "
        "beside it, by its tests file, or by both. A trace that was there under the name of the output is replaced.",
    )
    parser.add_argument("traces", metavar="TRACE", type=Path, nargs="+", help="a trace or its tests file")
    parser.add_argument("-o", "--output", metavar="OUT", type=Path, required=True, help="where the trace goes")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    sources = find_all(arguments.traces)
    written = merge_traces(Destination.check(arguments.output), sources)
    if arguments.json:
        members = {
            "path": str(written.path),
            "tests_path": str(written.tests),
            "complete": written.complete,
            "lost": written.lost,
            "reasons": written.reasons,
            "traces": len(sources),
            **figures_members(written.figures),
        }
        print(json.dumps(members))
        return 0
    print(printable(f"{written.path}: {'complete' if written.complete else 'INCOMPLETE'}, from {len(sources)} traces"))
    print(in_words(written.figures, runs=0))
    if not written.complete:
        print("INCOMPLETE: calls may be missing:")
        for reason in written.reasons or ["lines of a trace say so, without a reason"]:
            print(f"  {printable(reason)}")
    return 0
