"""Running a command, and a trace to run it on."""

from functools import partial
from pathlib import Path

import commands
import pytest
from commands import Command, Result, Trace

from pytest_seccomp.cli import main


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command inside this process."""

    def run(*arguments: str | Path) -> Result:
        status = main([str(argument) for argument in arguments])
        return Result(status, *capsys.readouterr())

    return run


@pytest.fixture
def trace(tmp_path: Path) -> Trace:
    """Write a trace."""
    return partial(commands.write, tmp_path)
