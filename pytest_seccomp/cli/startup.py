"""The calls with which Python starts and ends, recorded on the spot: what is traced in pytest begins after them."""

import platform
import subprocess
import sys

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.formats.profile import Allowed, Part
from pytest_seccomp.profile.edited import BASE_SET
from pytest_seccomp.sandbox.running import run
from pytest_seccomp.sandbox.sandboxes import Sandboxes


def recorded() -> Part:
    """Those of the interpreter that runs this, with an empty program. SeccompError where they cannot be recorded."""
    sandboxes = Sandboxes()
    try:
        done = run(
            [sys.executable, "-c", ""],
            sandboxes=sandboxes,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    finally:
        sandboxes.close()
    if done.returncode or not done.complete:
        end = f"it ended with status {done.returncode}" if done.returncode else "something may be missing"
        raise SeccompError(
            f"cannot record the start of {sys.executable}: {end}: leave out --base python, trace a test that starts it"
        )
    calls = tuple(Allowed(call.arch, call.number, call.name) for call, _ in done.syscalls.items_by_call())
    version = platform.python_version()
    return Part(f"{BASE_SET} python: start and end of Python {version}, recorded where the profile was made", calls)
