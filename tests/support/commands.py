"""What tests of the commands share: a trace to show, and what a command did."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from traces import END, X86_64, run, spooled_other, spooled_test, write_spool

from pytest_seccomp.trace.store import Destination, write_trace

_READ, _WRITE, _GETPID, _EXIT = (X86_64, 0), (X86_64, 1), (X86_64, 39), (0x40000003, 1)

_SPOOLED = [
    spooled_other("collect", {_READ: 10}, worker="gw0"),
    spooled_test("t.py::copy", [[*_READ, {"setup": 2, "call": 7}], [*_GETPID, {"call": 1000}]], worker="gw0"),
    spooled_test("t.py::copy", [[*_READ, {"call": 1, "shared": 3}]], rerun=1, worker="gw0"),
    spooled_test("t.py::program", [[*_EXIT, {"call": 1}]], outcome="failed", worker="gw0"),
    spooled_test("t.py::empty", [], worker="gw0"),
    spooled_other("harness", {_READ: 99, _WRITE: 5}, worker="gw0"),
]


@dataclass(slots=True)
class Result:
    """What a command did."""

    status: int
    out: str
    err: str


Command = Callable[..., Result]
"""Takes the command's arguments, texts or paths."""

Trace = Callable[..., Path]
"""Takes a name and, as a keyword, whether the trace is complete; returns PATH."""


def write(folder: Path, name: str = "out", *, complete: bool = True) -> Path:
    """Write a trace of a run with one worker, which made a few calls in each phase."""
    end = END if complete else {**END, "complete": False, "reasons": ["the recorder was killed"]}
    spool = write_spool(folder / f"{name}.spool", _SPOOLED, end)
    path = write_trace(Destination.check(folder / f"{name}.ndjson"), run(workers=1), [spool]).path
    spool.unlink()
    return path
