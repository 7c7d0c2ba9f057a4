"""`pytest-seccomp completion`: what has a shell complete commands and options, made of the commands themselves."""

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from pytest_seccomp.cli.output import write_lines

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
_Known: TypeAlias = Mapping[tuple[str, str], Iterable[str]]

SHELLS = ("bash", "zsh", "fish")


def add(commands: _Commands) -> None:
    """Declare the command."""
    text = "print what has a shell complete commands and options"
    parser = commands.add_parser(
        "completion",
        help=text,
        description=f'{text.capitalize()}. bash: eval "$(pytest-seccomp completion bash)" in ~/.bashrc. zsh: the same '
        "with zsh, after compinit, in ~/.zshrc. fish: pytest-seccomp completion fish > "
        "~/.config/fish/completions/pytest-seccomp.fish",
    )
    parser.add_argument("shell", choices=SHELLS, help="which one")
    parser.set_defaults(run=partial(run, commands))


def run(commands: _Commands, arguments: argparse.Namespace) -> int:
    """Carry it out."""
    from pytest_seccomp.cli import shells

    write_lines(getattr(shells, arguments.shell)(described(commands)))
    return 0


@dataclass(slots=True, frozen=True)
class Value:
    """What an option or a command takes."""

    title: str
    choices: tuple[str, ...] = ()
    """All that it can be; empty where that is not known."""
    is_file: bool = False


@dataclass(slots=True, frozen=True)
class Option:
    """An option of a command."""

    names: tuple[str, ...]
    text: str
    value: Value | None
    """None where it takes none."""


@dataclass(slots=True, frozen=True)
class Command:
    """A command; `runs` says that it takes another program's command line, after `--`."""

    name: str
    text: str
    options: list[Option]
    first: Value | None
    """The first operand, where it is of another kind than the last and its values are known."""
    operand: Value | None
    runs: bool


def described(commands: _Commands) -> list[Command]:
    """All commands."""
    texts = {action.dest: action.help or "" for action in commands._choices_actions}
    known = _known()
    return [_command(name, texts.get(name, ""), parser, known) for name, parser in commands.choices.items()]


def _known() -> _Known:
    """Values that argparse does not know, by command and destination: they are asked for here, not when a command is
    declared, which would import for each of them what only one needs."""
    from pytest_seccomp.formats import bases, builtin
    from pytest_seccomp.linux.syscalls import all_names
    from pytest_seccomp.profile.groups import groups

    calls = sorted(all_names())
    return {
        ("generate", "format"): [format.name for format in builtin.seccomp_profile_formats()],
        ("generate", "base"): ["python", *bases.bases()],
        ("generate", "default"): ["errno:EPERM", "errno:ENOSYS", "kill_process", "kill_thread", "trap", "log"],
        ("prune", "keep"): [*groups(), *calls],
        ("groups", "names"): list(groups()),
        ("why", "call"): calls,
    }


def _command(name: str, text: str, parser: argparse.ArgumentParser, known: _Known) -> Command:
    def value(action: argparse.Action) -> Value:
        title = action.metavar if isinstance(action.metavar, str) else action.dest
        choices = tuple(str(choice) for choice in action.choices or known.get((name, action.dest), ()))
        return Value(title.lower(), choices, is_file=action.type is Path)

    options = [
        Option(tuple(action.option_strings), action.help or "", None if action.nargs == 0 else value(action))
        for action in parser._actions
        if action.option_strings
    ]
    operands = [action for action in parser._actions if not action.option_strings and action.help != argparse.SUPPRESS]
    values = [value(action) for action in operands]
    first = values[0] if len(values) > 1 and values[0].choices else None
    # Of several the last one, of which there may be many
    return Command(name, text, options, first, values[-1] if values else None, runs=name == "record")
