"""Denials for tests: one of a socket to curl, and others that differ from it in what a test says."""

from typing import Any

from pytest_seccomp.trace.denials import Denial

X86_64 = 0xC000003E

MEMBERS: dict[str, Any] = {
    "nodeid": "t.py::test_a",
    "phase": "call",
    "rerun": 0,
    "syscall": 41,
    "name": "socket",
    "arch": "x86_64",
    "count": 1,
    "action": "errno",
    "errno": None,
    "pid": 4711,
    "comm": "curl",
    "exe": "/usr/bin/curl",
    "args": None,
    "source": "audit",
    "expected": False,
}
"""The members of a line of a deny log, in their order."""


def denial(**changes: Any) -> Denial:
    """A denial that differs in these members."""
    return Denial(**{**MEMBERS, **changes})
