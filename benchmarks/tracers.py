"""The tracers to compare with: how each runs a command, and what it has counted then. One that is not here, or does not
work here, is named and left out."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pytest_seccomp.linux import syscalls
from pytest_seccomp.linux.architecture import native

_SUPERVISOR = Path(__file__).with_name("supervisor.c")

_FOLLOW = """
BEGIN {{ @followed[cpid] = 1; }}
tracepoint:sched:sched_process_fork /@followed[pid]/ {{ @followed[args->child_pid] = 1; }}
tracepoint:raw_syscalls:sys_enter /@followed[pid]/ {{ @calls[args->id] = count(); }}
tracepoint:sched:sched_process_exit /@followed[tid]/ {{ delete(@followed[tid]); }}
END {{ clear(@followed); }}
"""
"""What people write to count the calls of a command and all that it starts."""


@dataclass(slots=True, frozen=True)
class Tracer:
    """Somebody else's tracer.

    `before` is the command that runs another, with its report in a file. `seen` reads from that how many calls it has
    counted, of one name or of all; None for what it does not tell.
    """

    name: str
    before: list[str]
    report: Path
    seen: Callable[[str, str | None], int | None]

    def counted(self, call: str | None = None) -> int | None:
        """How many calls it has seen in its last run: those with that name, or all."""
        return self.seen(self.report.read_text(encoding="utf-8", errors="replace"), call)


def all_that_are_here(folder: Path) -> tuple[list[Tracer], list[str]]:
    """Those that work, with their reports in a folder, and of the others what is missing."""
    here: list[Tracer] = []
    missing: list[str] = []
    for name, package, before, seen in _TRACERS:
        report = folder / f"{name.replace(' ', '-')}.report"
        command = [part.format(report=report, supervisor=folder / "supervisor") for part in before]
        why = _does_not_work(command) if name != "C" or _compiled(folder / "supervisor") else "no C compiler"
        if why is None:
            here.append(Tracer(name, command, report, seen))
        else:
            missing.append(f"{name} is left out: {why} (package {package})")
    return here, missing


def running(tracer: Tracer | None, command: list[str]) -> list[str]:
    """The command that runs another under a tracer, or as it is."""
    if tracer is None:
        return command
    if tracer.name == "bpftrace":  # takes a text, which it parts at spaces
        if any(" " in part for part in command):
            raise ValueError(f"bpftrace cannot be given a command with spaces in it: {command}")
        return [*tracer.before, " ".join(command)]
    return [*tracer.before, *command]


def _compiled(program: Path) -> bool:
    compiler = shutil.which("cc")
    if compiler is None:
        return False
    subprocess.run([compiler, "-O2", "-o", str(program), str(_SUPERVISOR)], check=True)
    return True


def _does_not_work(command: list[str]) -> str | None:
    if shutil.which(command[0]) is None:
        return "it is not installed"
    done = subprocess.run(
        [*command, shutil.which("true") or "true"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        said = done.stdout.strip().splitlines()
        return f"it does not work here: {said[-1] if said else f'status {done.returncode}'}"
    return None


def _sum(rows: list[tuple[str, int]], call: str | None) -> int:
    return sum(count for name, count in rows if call in (None, name))


def _by_number(rows: list[tuple[str, str]], call: str | None) -> int:
    wanted = None if call is None else syscalls.numbers_of(call, native().audit_arch)
    return sum(int(count) for number, count in rows if wanted is None or int(number) in wanted)


def _from_supervisor(text: str, call: str | None) -> int | None:
    return _by_number(re.findall(r"^(\d+) (\d+)$", text, re.MULTILINE), call)


def _from_strace(text: str, call: str | None) -> int | None:
    # "% time     seconds  usecs/call     calls    errors syscall": the errors may be missing
    rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", text, re.MULTILINE)
    return _sum([(name, int(count)) for count, name in rows if name != "total"], call)


def _from_perf_trace(text: str, call: str | None) -> int | None:
    # A table for each thread: "getppid  100000  0  ..."
    rows = re.findall(r"^ +([a-z]\w*) +(\d+) +\d+ +[\d.]+", text, re.MULTILINE)
    return _sum([(name, int(count)) for name, count in rows], call)


def _from_perf_stat(text: str, call: str | None) -> int | None:
    found = re.search(r"^ +([\d,.]+) +raw_syscalls:sys_enter", text, re.MULTILINE)
    if call is not None or found is None:
        return None  # it tells how many, not which
    return int(re.sub(r"[,.]", "", found[1]))


def _from_bpftrace(text: str, call: str | None) -> int | None:
    return _by_number(re.findall(r"^@calls\[(\d+)\]: (\d+)$", text, re.MULTILINE), call)


_EVENT = "raw_syscalls:sys_enter"
_TRACERS: list[tuple[str, str, list[str], Callable[[str, str | None], int | None]]] = [
    ("C", "gcc", ["{supervisor}", "{report}"], _from_supervisor),
    ("strace -f -c", "strace", ["strace", "-f", "-c", "-o", "{report}"], _from_strace),
    ("perf trace -s", "linux-perf", ["perf", "trace", "-s", "-o", "{report}", "--"], _from_perf_trace),
    ("perf stat", "linux-perf", ["perf", "stat", "-e", _EVENT, "-o", "{report}", "--"], _from_perf_stat),
    ("bpftrace", "bpftrace", ["bpftrace", "-q", "-o", "{report}", "-e", _FOLLOW, "-c"], _from_bpftrace),
]
"""By name: the package of Debian, the command, and how its report is read."""
