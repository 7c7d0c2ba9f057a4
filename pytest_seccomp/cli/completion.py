"""`pytest-seccomp completion`: what has a shell complete commands and options, made of the commands themselves."""

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from pytest_seccomp.cli.output import write_lines

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

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
    operand: Value | None
    runs: bool


def described(commands: _Commands) -> list[Command]:
    """All commands."""
    texts = {action.dest: action.help or "" for action in commands._choices_actions}
    return [_command(name, texts.get(name, ""), parser) for name, parser in commands.choices.items()]


def _command(name: str, text: str, parser: argparse.ArgumentParser) -> Command:
    options = [
        Option(tuple(action.option_strings), action.help or "", None if action.nargs == 0 else _value(action))
        for action in parser._actions
        if action.option_strings
    ]
    operands = [action for action in parser._actions if not action.option_strings and action.help != argparse.SUPPRESS]
    # Of several the last one, of which there may be many
    return Command(name, text, options, _value(operands[-1]) if operands else None, runs=name == "record")


def _value(action: argparse.Action) -> Value:
    title = action.metavar if isinstance(action.metavar, str) else action.dest
    choices = tuple(str(choice) for choice in action.choices or ())
    return Value(title.lower(), choices, is_file=action.type is Path)
