"""What the figures were measured on, without names of hosts or people, and the tracers to compare with."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_seccomp.linux import process

_CAP_SYS_NICE = 23
_SUPERVISOR = Path(__file__).with_name("supervisor.c")


def facts() -> dict[str, object]:
    """The class of this machine, and the versions in use."""
    return {
        "arch": platform.machine(),
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "pytest": pytest.__version__,
        "strace": _strace_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def describe() -> str:
    """The same in a line."""
    found = facts()
    return (
        f"{found['arch']}, {found['processor']}, {found['processors']} processors; Linux {found['kernel']}, Python "
        f"{found['python']}, pytest {found['pytest']}, strace {found['strace']}; load {found['load']}"
    )


def strace(report: Path) -> list[str] | None:
    """The command that runs another under `strace -f -c`, None where strace is not installed."""
    return ["strace", "-f", "-c", "-o", str(report)] if shutil.which("strace") else None


def supervisor(folder: Path, report: Path) -> list[str] | None:
    """The command that runs another under the supervisor in C, None where there is no compiler."""
    if shutil.which("cc") is None:
        return None
    program = folder / "supervisor"
    if not program.exists():
        subprocess.run(["cc", "-O2", "-o", str(program), str(_SUPERVISOR)], check=True)
    return [str(program), str(report)]


def without_sys_nice() -> list[str] | None:
    """The command that runs another without CAP_SYS_NICE, None where this process does not have it, or no setpriv."""
    if not process.has_capability(_CAP_SYS_NICE) or shutil.which("setpriv") is None:
        return None
    return ["setpriv", "--bounding-set=-sys_nice"]


def environment(**changes: str) -> dict[str, str]:
    """The environment of what is measured: without what would change pytest or Python."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    return kept | changes


def python(*arguments: str | Path) -> list[str]:
    """A command of this Python."""
    return [sys.executable, *map(str, arguments)]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return "unknown processor"


def _strace_version() -> str | None:
    if shutil.which("strace") is None:
        return None
    text = subprocess.run(["strace", "-V"], capture_output=True, text=True, check=True).stdout
    return text.split()[3]
