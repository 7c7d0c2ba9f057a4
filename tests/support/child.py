"""A Python program in a process of its own, for what must not happen in the process that runs the tests: a filter is
never taken off again."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from running import DEADLINE


def run(program: str, *arguments: str | int | Path) -> "subprocess.CompletedProcess[str]":
    """Run the program and all that it starts to their end, and return what they printed."""
    return subprocess.run(
        [sys.executable, "-I", "-c", dedent(program), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


def output(program: str, *arguments: str | int | Path) -> str:
    """The same, for a program that must succeed: what it printed on its standard output."""
    result = run(program, *arguments)
    assert result.returncode == 0, f"status {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout
