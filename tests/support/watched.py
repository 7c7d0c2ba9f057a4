"""Programs that have themselves watched, with `recorder.watch` and `denying` at hand."""

import contextlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import denying
from running import VARIABLE, Process, until

_START = f"""
import json, os, signal, sys, time
sys.path.append({denying.FOLDER!r})
import denying, logged
from pytest_seccomp.errors import BackendError, RecorderError
from pytest_seccomp.recorder import session, watch, watching
from running import until

def settings(own=None, **others):
    found = dict(target=os.getpid(), session=own, cookie=12345, spool=sys.argv[1])
    return watching.Settings(**{{**found, **others}})

def told(seen):
    return [(one.pid, one.syscall, one.action, one.count) for one in seen.denials]

def noisy(sync):
    def noisy_sync(self):
        seen = sync(self)
        if seen.reasons:
            print(seen.reasons, file=sys.stderr)
        return seen
    return noisy_sync

watch.Watch.sync, watch.Watch.finish = noisy(watch.Watch.sync), noisy(watch.Watch.finish)

def pause():
    print("ready", flush=True)
    return sys.stdin.readline().strip()
"""
_WATCH = "w = watch.start(settings(session.own_session()))\n"


class Program:
    """A program that goes on while a test looks at it. All processes that it leads to can be found."""

    def __init__(self, program: str, spool: Path, *, watched: bool = True, before: Sequence[str] = ()) -> None:
        """`watched`: with `w`, its watch. `before`: the command that runs it."""
        self.token = uuid.uuid4().hex
        self._lines: list[str] = []
        text = _START + (_WATCH if watched else "") + dedent(program)
        self.process = subprocess.Popen(
            [*before, sys.executable, "-I", "-c", text, str(spool)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, VARIABLE: self.token},
        )

    def wait(self) -> None:
        """Until it pauses."""
        assert self.process.stdout is not None
        while (line := self.process.stdout.readline()) != "ready\n":
            assert line, self.process.communicate()[1]
            self._lines.append(line.rstrip("\n"))

    def go_on(self, text: str = "") -> None:
        """After a pause, which returns the text."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def finish(self, status: int = 0) -> list[str]:
        """What it prints from its beginning to its end, in lines, without its pauses; it must end with this status."""
        out, error = self.process.communicate(timeout=300)
        assert self.process.returncode == status, f"status {self.process.returncode}\n{out}\n{error}"
        print(error)  # why a sync was incomplete, where the test fails for it
        return self._lines + out.splitlines()

    def helpers(self) -> list[Process]:
        """The watcher and its sentinel: the parent first."""
        found = [process for process in Process.all_with(self.token) if "recorder.watcher" in process.command]
        return sorted(found, key=lambda process: process.parent in {other.pid for other in found})

    def expect_nothing_left(self) -> None:
        """No process of its own, or of its watcher."""
        until("the end of every process", lambda: not Process.all_with(self.token))


def run(program: str, spool: Path, *, watched: bool = True, before: Sequence[str] = ()) -> list[str]:
    """What a program prints, in lines. It leaves no process behind."""
    made = Program(program, spool, watched=watched, before=before)
    lines = made.finish()
    made.expect_nothing_left()
    return lines


@contextlib.contextmanager
def started(program: str, spool: Path, *, watched: bool = True) -> Iterator[Program]:
    """A program that is not left running."""
    made = Program(program, spool, watched=watched)
    try:
        yield made
    finally:
        for process in Process.all_with(made.token):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, 9)
        made.process.communicate()


def spooled(spool: Path) -> list[dict[str, Any]]:
    """The lines of a spool."""
    return [json.loads(line) for line in spool.read_text().splitlines()]
