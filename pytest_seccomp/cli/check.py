"""`pytest-seccomp check`: whether a profile allows what a trace has, without running a test."""

import argparse
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_seccomp.cli.loading import Loaded
from pytest_seccomp.cli.makers import Made, Makers, load_to_compare
from pytest_seccomp.cli.output import terminal_width, write_json, write_lines
from pytest_seccomp.trace.table import table
from pytest_seccomp.trace.words import plural

if TYPE_CHECKING:
    from pytest_seccomp.gate.allowed import Allowed

OUTSIDE = 1


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    text = "name the calls of a trace that a profile does not allow"
    parser = commands.add_parser(
        "check",
        help=text,
        description=f"{text.capitalize()}. Exit status 1 where there are any. A trace has no arguments: a call that "
        "the profile allows under conditions is allowed here.",
    )
    parser.add_argument("trace", metavar="TRACE", type=Path, help="a trace or its tests file")
    profile = "a profile as docker, podman and the OCI have it, or a trace"
    parser.add_argument("profile", metavar="PROFILE", type=Path, help=profile)
    parser.add_argument("--unused", action="store_true", help="name also what the profile allows and nobody made")
    parser.add_argument("--allow-incomplete", action="store_true", help="check a trace that may lack calls, too")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    from pytest_seccomp.gate.allowed import Allowed  # ctypes, which other commands do without

    allowed = Allowed.read(arguments.profile)
    makers = Makers(lambda call: not allowed.allows(call.arch, call.number, call.name))
    loaded = load_to_compare(arguments.trace, makers, allow_incomplete=arguments.allow_incomplete)
    records = loaded.totals.records()
    check = _Check(
        loaded,
        allowed,
        [makers.of(record) for record in allowed.outside(records)],
        allowed.unused(records) if arguments.unused else None,
    )
    if arguments.json:
        write_json(check.members())
    else:
        write_lines(check.lines(terminal_width()))
    return OUTSIDE if check.outside else 0


@dataclass(slots=True, frozen=True)
class _Check:
    loaded: Loaded
    allowed: "Allowed"
    outside: list[Made]
    unused: list[str] | None
    """None where nobody has asked."""

    def members(self) -> dict[str, object]:
        """For a program."""
        return {
            "complete": self.loaded.totals.complete,
            "outside": [made.members for made in self.outside],
            "unused": self.unused,
            "warnings": self.allowed.warnings,
        }

    def lines(self, width: int | None) -> Iterator[str]:
        """For people."""
        yield from self.loaded.heading()
        yield from (f"warning: {warning}" for warning in self.allowed.warnings)
        yield ""
        if self.outside:
            yield f"{plural(len(self.outside), 'call')} outside {self.allowed.path}"
            several = len({record.arch for record in self.loaded.totals.records()}) > 1
            rows = (made.cells(several_architectures=several) for made in self.outside)
            yield from table(("count", "tests", "system call", "made by"), rows, width, ("tests",))
        else:
            yield f"{self.allowed.path} allows all of it"
        if self.unused is not None:
            yield ""
            yield f"{plural(len(self.unused), 'call')} allowed and made by nobody{':' if self.unused else ''}"
            if self.unused:
                text = ", ".join(self.unused)
                yield from [text] if width is None else textwrap.wrap(text, width, break_on_hyphens=False)
