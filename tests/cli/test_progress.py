"""The progress bar: on a terminal, after a second, and nothing of it stays."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

from commands import Command, Trace

from pytest_seccomp.cli.progress import Bar


def test_not_before_a_second_and_gone_at_the_end() -> None:
    times = iter((0.0, 0.5, 0.9, 1.0, 1.05, 1.2, 5.0))
    stream = io.StringIO()
    bar = Bar("reading", 200, stream, clock=lambda: next(times))
    for done in (50, 20, 30, 40, 10, 100):
        bar.step(done)
    bar.close()
    shown = stream.getvalue().split("\r")
    assert [line.split("]")[1].split()[0] for line in shown[1:-1]] == ["50%", "75%", "100%"]
    assert shown[1] == f"[{'#' * 15}{'.' * 15}]  50% reading\x1b[K"
    assert shown[-1] == "\x1b[K"


def test_what_takes_no_second_shows_none() -> None:
    stream = io.StringIO()
    bar = Bar("reading", 2, stream, clock=lambda: 0.0)
    bar.step(2)
    bar.close()
    assert stream.getvalue() == ""


def all_of(terminal: int) -> bytes:
    """What is written to a terminal until nobody has it open any more, which is EIO."""
    said = b""
    with contextlib.suppress(OSError):
        while part := os.read(terminal, 4096):
            said += part
    return said


def test_on_a_terminal_only(tmp_path: Path, trace: Trace, command: Command) -> None:
    """All that is read and written has its steps: with no patience, reading and merging end at 100 %."""
    path = trace()
    program = """if True:
        import sys
        from pytest_seccomp.cli import main, progress
        progress._PATIENCE = progress._EVERY = 0
        sys.exit(main(sys.argv[1:]))
    """
    for arguments in (["show", path], ["merge", "-o", tmp_path / "all.ndjson", path]):
        ours, theirs = os.openpty()
        run = [sys.executable, "-c", program, *map(str, arguments)]
        with subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=theirs) as process:
            os.close(theirs)
            said = all_of(ours).decode()
        os.close(ours)
        assert process.returncode == 0
        assert "[##############################] 100%" in said
        assert said.endswith("\r\x1b[K")
        assert command(*arguments).err == ""
