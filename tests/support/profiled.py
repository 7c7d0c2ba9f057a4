"""A real program, a trace of it, and profiles for the tests of formats.

The program runs anywhere: in a container, in bubblewrap, under systemd. It makes and removes a file in its working
directory.
"""

import tempfile
from functools import cache
from pathlib import Path

from traces import run, spooled_test, write_spool

from pytest_seccomp.formats.profile import Allowed, Part, Profile
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.syscalls import audit_arch_of, name_of
from pytest_seccomp.profile.actions import Action
from pytest_seccomp.sandbox.running import run as run_in_sandbox
from pytest_seccomp.sandbox.sandboxes import Sandboxes
from pytest_seccomp.trace.store import Destination, write_trace

EPERM = Action.parse("errno:EPERM")
INSIDE = ["/bin/sh", "-c", "echo hello > one && cat one && rm one"]
"""What is traced."""
OUTSIDE = ["/bin/sh", "-c", "echo hello > one && cat one && rm one && ln -s one two"]
"""The same with a call more, symlinkat or symlink."""
DENIED = "failed to create symbolic link 'two': Operation not permitted"
"""What OUTSIDE says then."""


@cache
def _calls_of_program() -> tuple[tuple[int, int, int], ...]:
    """AUDIT_ARCH_*, number and count of each call of INSIDE, recorded once."""
    sandboxes = Sandboxes()
    try:
        with tempfile.TemporaryDirectory() as folder:
            done = run_in_sandbox(INSIDE, sandboxes=sandboxes, cwd=folder, capture_output=True)
    finally:
        sandboxes.close()
    assert (done.returncode, done.stdout, done.complete) == (0, b"hello\n", True)
    return tuple((audit_arch_of(call.arch), call.number, count) for call, count in done.syscalls.items_by_call())


def trace_of_program(folder: Path) -> Path:
    """Write a trace of INSIDE into a folder. Needs a listener."""
    made = [[arch, number, {"call": count}] for arch, number, count in _calls_of_program()]
    spool = write_spool(folder / "program.spool", [spooled_test("t.py::test_program", made)])
    path = write_trace(Destination.check(folder / "program.ndjson"), run(arch=native().name), [spool]).path
    spool.unlink()
    return path


def profile(*calls: tuple[str, int], default: Action = EPERM, remarks: tuple[str, ...] = ()) -> Profile:
    """A profile of calls, given by architecture and number."""
    allowed = (Allowed(arch, number, name_of(audit_arch_of(arch), number)) for arch, number in sorted(calls))
    return Profile.of("app", default, [Part("Called in out.ndjson", tuple(allowed))], remarks)
