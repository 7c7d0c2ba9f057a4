"""Policies from traces."""

import json
from pathlib import Path

import pytest
from judged import I386, X86_64, Call

from pytest_seccomp.errors import TraceError
from pytest_seccomp.linux import architecture
from pytest_seccomp.profile.actions import ALLOW, Action
from pytest_seccomp.profile.bpf import decoded, evaluate
from pytest_seccomp.profile.compiling import program
from pytest_seccomp.profile.traced import from_trace

ENOSYS = Action.parse("errno:ENOSYS")
X32_BIT = 0x40000000


def record(number: int, name: str | None, arch: str, **members: object) -> str:
    found = {"syscall": number, "name": name, "count": 1, "arch": arch, "tests": 1, "collection": 0, **members}
    return json.dumps(found) + "\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.ndjson"


def test_what_was_called_is_allowed_where_it_was_called(path: Path) -> None:
    path.write_text(
        record(5, "open", "i386")
        + record(X32_BIT | 520, "execve", "x32")
        + record(257, "openat", "x86_64")
        + record(999, None, "x86_64")
    )
    policy = from_trace(path, architecture.X86_64, ENOSYS)
    assert policy.warnings == []
    code = decoded(program(policy))
    allowed = {(X86_64, 257), (X86_64, 999), (X86_64, X32_BIT | 520), (I386, 5)}
    numbers = (2, 5, 11, 59, 257, 295, 520, 999, X32_BIT | 2, X32_BIT | 257, X32_BIT | 520)
    for arch in (X86_64, I386, 0xDEADBEEF):
        for number in numbers:
            expected = ALLOW if (arch, number) in allowed else ENOSYS
            assert evaluate(code, Call(arch, number).data) == expected.verdict, (arch, number)


def test_an_incomplete_trace_has_to_be_allowed(path: Path) -> None:
    path.write_text(record(0, "read", "x86_64") + record(1, "write", "x86_64", complete=False))
    with pytest.raises(TraceError, match=r"out.ndjson is incomplete \(a trace .*\), so that a policy from it would"):
        from_trace(path, architecture.X86_64, ENOSYS)
    assert len(from_trace(path, architecture.X86_64, ENOSYS, allow_incomplete=True).rules) == 2


def test_calls_of_another_machine_are_named(path: Path) -> None:
    path.write_text(record(56, "openat", "aarch64") + record(0, "read", "x86_64"))
    policy = from_trace(path, architecture.X86_64, ENOSYS)
    assert policy.warnings == [
        f"{path}: calls of architectures that this machine does not run are left out: 1 of aarch64"
    ]
    with pytest.raises(TraceError, match=r"has no call of riscv64, but 1 of aarch64, 1 of x86_64: record one on such"):
        from_trace(path, architecture.RISCV64, ENOSYS)


def test_a_file_that_is_no_trace_is_named(path: Path) -> None:
    path.write_text("{}\n")
    with pytest.raises(TraceError, match=r"out.ndjson:1: "):
        from_trace(path, architecture.X86_64, ENOSYS)
