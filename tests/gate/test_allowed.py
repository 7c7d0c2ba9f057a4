"""What is outside a profile or a trace, and what of it nobody made."""

import json
import platform
from pathlib import Path
from typing import Any

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.gate.allowed import Allowed, AllowedByProfile, AllowedByTrace, kernel_version
from pytest_seccomp.linux.syscalls import audit_arch_of, identify, numbers_of
from pytest_seccomp.trace.records import Record

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86-64")


def record(name: str, arch: str = "x86_64", number: int | None = None) -> Record:
    """A call that was made."""
    if number is None:
        number = numbers_of(name, audit_arch_of(arch))[-1 if arch == "x32" else 0]
    return Record(number, name or None, 1, arch, 1, 0)


def profile(folder: Path, *entries: dict[str, Any], **members: Any) -> Allowed:
    """What a profile allows that denies by default."""
    path = folder / "profile.json"
    path.write_text(json.dumps({"defaultAction": "SCMP_ACT_ERRNO", **members, "syscalls": entries}), encoding="utf-8")
    found = Allowed.read(path)
    assert isinstance(found, AllowedByProfile)
    return found


def trace(folder: Path, *records: Record) -> Path:
    """A trace with these records, without its tests file."""
    path = folder / "trace.ndjson"
    path.write_text("".join(record.format() for record in records), encoding="utf-8")
    return path


ALLOW = "SCMP_ACT_ALLOW"


def test_what_a_profile_names_is_inside_and_the_rest_outside(tmp_path: Path) -> None:
    allowed = profile(tmp_path, {"names": ["read", "openat", "splice"], "action": ALLOW})
    made = [record("read"), record("connect"), record("", number=4000), record("openat")]
    assert [one.syscall for one in allowed.outside(made)] == [42, 4000]
    assert allowed.unused(made) == ["splice"]


def test_a_call_that_is_allowed_under_conditions_is_allowed_as_a_whole(tmp_path: Path) -> None:
    condition = {"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}
    allowed = profile(tmp_path, {"names": ["socket"], "action": ALLOW, "args": [condition]})
    assert allowed.outside([record("socket"), record("bind")]) == [record("bind")]
    assert allowed.unused([record("bind")]) == ["socket"]


def test_a_call_that_is_denied_under_conditions_is_not_outside_where_others_are_allowed(tmp_path: Path) -> None:
    entry = {"names": ["clone"], "action": "SCMP_ACT_KILL", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}
    allowed = profile(tmp_path, entry, {"names": ["ptrace"], "action": "SCMP_ACT_ERRNO"}, defaultAction=ALLOW)
    made = [record("clone"), record("ptrace"), record("read"), record("", number=4000)]
    assert allowed.outside(made) == [record("ptrace")]
    assert allowed.unused(made) == []
    assert allowed.denies_by_name("x86_64", "ptrace")
    assert not allowed.denies_by_name("x86_64", "read")


def test_a_call_that_is_only_logged_is_inside(tmp_path: Path) -> None:
    assert profile(tmp_path, {"names": ["read"], "action": "SCMP_ACT_LOG"}).outside([record("read")]) == []
    trapped = profile(tmp_path, {"names": ["read"], "action": "SCMP_ACT_TRAP"})
    assert trapped.outside([record("read")]) == [record("read")]


def test_a_default_that_only_logs_accepts_nothing_and_one_that_allows_says_so(tmp_path: Path) -> None:
    entries = [{"names": ["read"], "action": ALLOW}, {"names": ["bpf"], "action": "SCMP_ACT_ERRNO"}]
    made = [record("read"), record("bpf"), record("connect"), record("", number=4000)]
    entry = {"names": ["connect"], "action": "SCMP_ACT_LOG"}
    logging = profile(tmp_path, *entries, entry, defaultAction="SCMP_ACT_LOG")
    assert [one.syscall for one in logging.outside(made)] == [321, 42, 4000]
    assert not logging.denies_by_name("x86_64", "connect")
    assert not any("does not name" in warning for warning in logging.warnings)
    allowing = profile(tmp_path, *entries, defaultAction=ALLOW)
    assert allowing.outside(made) == [record("bpf")]
    path = tmp_path / "profile.json"
    assert f"{path}: defaultAction: it allows all calls that it does not name" in allowing.warnings


def test_a_denial_by_name_counts_also_where_the_default_is_the_same(tmp_path: Path) -> None:
    entry = {"names": ["getppid"], "action": "SCMP_ACT_ERRNO"}
    denying = profile(tmp_path, entry, {"names": ["read"], "action": ALLOW})
    assert denying.denies_by_name("x86_64", "getppid")
    assert not denying.denies_by_name("x86_64", "read")
    assert not denying.denies_by_name("x86_64", "connect")
    assert denying.outside([record("getppid"), record("read")]) == [record("getppid")]


def test_architectures_count_by_what_the_profile_is_for(tmp_path: Path) -> None:
    made = [record("read", arch) for arch in ("x86_64", "i386", "x32", "aarch64", "s390x", "0x12345678")[:4]]
    entry = {"names": ["read"], "action": ALLOW}
    assert [one.arch for one in profile(tmp_path, entry).outside(made)] == ["i386", "x32"]
    both = profile(tmp_path, entry, architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"])
    assert both.outside(made) == []
    unknown = record("read", "0x12345678", 3)
    assert both.outside([unknown]) == [unknown]


def test_entries_of_docker_hold_for_a_container_with_its_usual_capabilities(tmp_path: Path) -> None:
    """Of this kernel, and not with those of whoever runs the tests."""
    allowed = profile(
        tmp_path,
        {"names": ["bpf"], "action": ALLOW, "includes": {"caps": ["CAP_BPF"]}},
        {"names": ["chroot"], "action": ALLOW, "includes": {"caps": ["CAP_SYS_CHROOT"]}},
        {"names": ["ptrace"], "action": ALLOW, "includes": {"minKernel": "4.8"}},
        {"names": ["s390_pci_mmio_read"], "action": ALLOW, "includes": {"arches": ["s390x"]}},
    )
    made = [record("bpf"), record("chroot"), record("ptrace")]
    assert allowed.outside(made) == [record("bpf")]
    assert allowed.unused([record("bpf")]) == ["chroot", "ptrace"]


def test_socketcall_is_inside_where_one_of_its_parts_is(tmp_path: Path) -> None:
    allowed = profile(tmp_path, {"names": ["socket"], "action": ALLOW}, architectures=["SCMP_ARCH_X86"])
    made = [record("socketcall", "i386")]
    assert allowed.outside([*made, record("ipc", "i386")]) == [record("ipc", "i386")]
    assert allowed.unused(made) == ["socket"]


def test_a_trace_allows_what_is_in_it_on_its_own_architecture(tmp_path: Path) -> None:
    path = trace(tmp_path, record("read", "i386"), record("", number=4000), record("read"))
    allowed = Allowed.read(path)
    assert isinstance(allowed, AllowedByTrace)
    made = [record("read"), record("write", "i386"), record("", number=4001)]
    assert allowed.outside(made) == made[1:]
    assert allowed.unused(made) == ["i386:read", "x86_64:4000"]


def test_an_incomplete_trace_allows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trace.ndjson"
    path.write_text(Record(0, "read", 1, "x86_64", 1, 0, complete=False).format(), encoding="utf-8")
    with pytest.raises(SeccompError, match=r"trace\.ndjson is incomplete .*: record it anew"):
        Allowed.read(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [("", "no JSON"), ("{}", '"defaultAction" is missing'), ("[1]", "is no object"), ("{\n", "no JSON")],
)
def test_what_is_neither_is_said_to_be_no_profile(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "profile.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SeccompError, match=reason):
        Allowed.read(path)


def test_keys_are_the_calls_that_are_allowed_here(tmp_path: Path) -> None:
    allowed = profile(tmp_path, {"names": ["read", "_llseek"], "action": ALLOW}, architectures=["SCMP_ARCH_X86"])
    keys = set(allowed.keys("x86_64"))
    calls = {identify(key >> 32, key & 0xFFFFFFFF)[0::2] for key in keys}
    assert calls == {("x86_64", "read"), ("i386", "read"), ("i386", "_llseek")}
    assert len(keys) == 3


def test_versions_of_kernels() -> None:
    assert kernel_version("6.18-rc1") == (6, 18)
    assert kernel_version("5.10.0-8-amd64") == (5, 10)
    with pytest.raises(SeccompError, match="no version"):
        kernel_version("unknown")
