"""What the recorder uses of the kernel's interfaces is imported within milliseconds: next to nothing of the standard
library comes with it."""

import subprocess
import sys

import pytest

from pytest_seccomp import linux

PACKAGES = linux.__file__.rpartition("/pytest_seccomp/")[0]
PROGRAM = """
import os, sys; sys.path.append(sys.argv[1])
before = set(sys.modules)
import pytest_seccomp.linux.{}
print(*sorted(name for name in set(sys.modules) - before if not name.startswith("pytest_seccomp")))
"""


@pytest.mark.parametrize(
    ("module", "others"),
    [
        ("seccomp_record", ["__future__"]),
        ("audit_serials", []),
        ("audit_log", ["__future__", "_socket"]),
        ("audit_control", ["__future__", "_socket"]),
        ("audit_session", ["__future__"]),
        ("kmsg", []),
    ],
)
def test_few_modules_come_with_it(module: str, others: list[str]) -> None:
    command = [sys.executable, "-I", "-S", "-c", PROGRAM.format(module), PACKAGES]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) - {"errno"} == set(others)
