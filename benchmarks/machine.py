"""What the figures were measured on, without names of hosts or people."""

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_VERSIONS = {"strace": ["strace", "-V"], "perf": ["perf", "--version"], "bpftrace": ["bpftrace", "--version"]}


def facts() -> dict[str, object]:
    """The class of this machine, and the versions in use."""
    return {
        "arch": platform.machine(),
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        "pytest": pytest.__version__,
        **{name: _version_of(command) for name, command in _VERSIONS.items()},
        "load": round(os.getloadavg()[0], 2),
    }


def describe() -> str:
    """The same in a line."""
    found = facts()
    tools = ", ".join(f"{name} {found[name]}" for name in ("pytest", *_VERSIONS) if found[name])
    return (
        f"{found['arch']}, {found['processor']}, {found['processors']} processors; Linux {found['kernel']}, Python "
        f"{found['python']}, {tools}; load {found['load']}"
    )


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


def _version_of(command: list[str]) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"[0-9]+\.[0-9.]*[0-9]", said)
    return found and found[0]
