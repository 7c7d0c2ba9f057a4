"""`pytest-seccomp doctor`: what works on this machine, what does not, why, and how to get it."""

import argparse
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_seccomp
from pytest_seccomp.cli.output import write_json, write_lines

if TYPE_CHECKING:
    from pytest_seccomp.recorder.doctor import Diagnosis

NONE_WORKS = 1

_MARKS = (("/.dockerenv", "Docker"), ("/run/.containerenv", "Podman"))
"""Files that container engines put into every container."""

_VARIABLE = "container"
"""Which systemd-nspawn, Podman and LXC set, systemd.exec(5)."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    text = "say which backends work here, and what is missing for the others"
    parser = commands.add_parser(
        "doctor",
        help=text,
        description=f"{text.capitalize()}. Each backend is tried in a child process. Exit status 1 where none works.",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Carry it out."""
    from pytest_seccomp.recorder.doctor import check_backends

    machine = Machine.of_this_process()
    backends = check_backends()
    if arguments.json:
        write_json({**asdict(machine), "backends": [asdict(backend) for backend in backends]})
    else:
        write_lines([*machine.lines(), *(line for backend in backends for line in _lines(backend))])
    return 0 if any(backend.works for backend in backends) else NONE_WORKS


def _lines(backend: "Diagnosis") -> Iterator[str]:
    yield ""
    yield f"{backend.name}: {'works' if backend.works else 'DOES NOT WORK'}"
    yield f"  {backend.detail}"
    if backend.remedy:
        yield f"  to get it: {backend.remedy}"
    yield from (f"  note: {note}" for note in backend.notes)


@dataclass(slots=True, frozen=True)
class Machine:
    """Where we run, as far as it matters for tracing."""

    pytest_seccomp: str
    python: str
    kernel: str
    architecture: str
    libseccomp: str | None
    """None where it is not installed."""
    uid: int
    capabilities: str
    """The effective ones, hexadecimal as in /proc/PID/status, proc_pid_status(5)."""
    no_new_privs: bool
    filters: str
    """Of seccomp, that are in force already: "none", or how many, where the kernel tells."""
    container: str | None
    """The signs of one; None where there are none, which proves nothing."""

    @classmethod
    def of_this_process(cls) -> "Machine":
        """Ask the system."""
        from pytest_seccomp.linux import libseccomp, process  # ctypes, which the other commands do without

        uname = os.uname()
        return cls(
            pytest_seccomp=pytest_seccomp.__version__,
            python=f"{platform.python_implementation()} {platform.python_version()}",
            kernel=uname.release,
            architecture=uname.machine,
            libseccomp=libseccomp.version(),
            uid=os.geteuid(),
            capabilities=process.status_field("CapEff") or "unknown",
            no_new_privs=process.status_field("NoNewPrivs") == "1",
            filters=_filters(process.status_field("Seccomp"), process.status_field("Seccomp_filters")),
            container=_container(),
        )

    def lines(self) -> list[str]:
        """For people."""
        missing = "not installed: only the names of very new calls come from it (libseccomp2 on Debian and Ubuntu)"
        return [
            f"pytest-seccomp  {self.pytest_seccomp}",
            f"python          {self.python}",
            f"kernel          {self.kernel}",
            f"architecture    {self.architecture}",
            f"libseccomp      {self.libseccomp or missing}",
            f"user            uid {self.uid}, capabilities {self.capabilities}",
            f"restrictions    seccomp filters: {self.filters}; no_new_privs: {'yes' if self.no_new_privs else 'no'}",
            f"container       {self.container or 'no sign of one'}",
        ]


def _filters(mode: str | None, count: str | None) -> str:
    """From the fields Seccomp (0 is none, 2 is filters) and, from Linux 5.9 on, Seccomp_filters."""
    if mode is None:
        return "unknown"
    return "none" if mode == "0" else count or "some"


def _container() -> str | None:
    signs = [f"{path} is there ({engine})" for path, engine in _MARKS if Path(path).exists()]
    if engine := os.environ.get(_VARIABLE):
        signs.append(f"{_VARIABLE}={engine} in the environment")
    return ", ".join(signs) or None
