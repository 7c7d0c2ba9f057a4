"""run() beside subprocess.run."""

import sys

import pytest

from pytest_seccomp.linux.architecture import native
from pytest_seccomp.profile import names
from pytest_seccomp.profile.actions import Action
from pytest_seccomp.sandbox.running import run
from pytest_seccomp.sandbox.sandboxes import Sandboxes

pytestmark = pytest.mark.needs("listener")


def test_a_program_runs_under_a_policy(sandboxes: Sandboxes) -> None:
    policy = names.from_names(native(), Action.parse("errno:EPERM"), deny=["@internet"])
    program = "import socket\ntry: socket.socket()\nexcept OSError as error: print(error.strerror)"
    result = run([sys.executable, "-c", program], sandboxes=sandboxes, policy=policy, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "Operation not permitted\n", "")
    (denial,) = result.denied
    assert (denial.name, denial.count, denial.action, denial.errno) == ("socket", 1, "errno", "EPERM")
    assert result.complete


def test_a_denial_says_which_path(sandboxes: Sandboxes) -> None:
    policy = names.from_names(native(), Action.parse("errno:EROFS"), deny=["unlinkat", "renameat2", "connect"])
    program = r"""
import ctypes, os, socket
libc = ctypes.CDLL(None)
libc.unlinkat(-100, b"/no/such/\xff", 0)
libc.renameat2(-100, b"one", -100, b"two", 1)
with socket.socket(socket.AF_UNIX) as client:
    client.connect_ex("/no/such/socket")
"""
    result = run([sys.executable, "-c", program], sandboxes=sandboxes, policy=policy)
    assert result.returncode == 0
    assert [(denial.name, dict(denial.paths), denial.exact) for denial in result.denied] == [
        ("unlinkat", {1: "/no/such/\udcff"}, True),
        ("renameat2", {1: "one", 3: "two"}, True),
        ("connect", {1: "/no/such/socket"}, True),
    ]
