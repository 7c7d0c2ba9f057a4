"""`pytest-seccomp groups`: the named groups of system calls, and what is in them."""

import argparse
from collections.abc import Iterator

from pytest_seccomp.cli.output import terminal_width, write_json, write_lines
from pytest_seccomp.profile.groups import Group, find, groups
from pytest_seccomp.trace.table import table


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    text = "list the named groups of system calls, or the calls of some"
    parser = commands.add_parser("groups", help=text, description=f"{text.capitalize()}.")
    parser.add_argument("names", metavar="GROUP", nargs="*", help="such as @mount; all of its calls are listed")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    chosen = [find(name) for name in arguments.names] or list(groups().values())
    if arguments.json:
        write_json({"groups": [_members(group) for group in chosen]})
    else:
        write_lines(_calls(chosen) if arguments.names else _overview(chosen))
    return 0


def _members(group: Group) -> dict[str, object]:
    calls = [
        {"name": member.name, "first_argument": member.argument or None, "value": member.value}
        for member in sorted(group.members())
    ]
    return {"name": group.name, "description": group.description, "includes": list(group.includes), "calls": calls}


def _overview(chosen: list[Group]) -> Iterator[str]:
    rows = [(group.name, str(len(group.members())), group.description) for group in chosen]
    yield from table(("group", "calls", "what it is for"), rows, terminal_width())


def _calls(chosen: list[Group]) -> Iterator[str]:
    for group in chosen:
        yield f"{group.name}: {group.description}"
        yield from (f"    {member}" for member in sorted(group.members()))
