"""Whole profiles, for every system call there is: as the kernel decides, and as libseccomp does in a container."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from judged import I386, UNFILTERED, X86_64, Call, Kernel
from mechanisms import CONTAINER_PROFILE, DOCKERS_PROFILE
from runc import reference

from pytest_seccomp.linux import architecture
from pytest_seccomp.linux.capabilities import NAMES
from pytest_seccomp.linux.syscalls import all_names, name_of, numbers_of
from pytest_seccomp.profile.actions import Action
from pytest_seccomp.profile.bpf import decoded, evaluate
from pytest_seccomp.profile.compiling import program
from pytest_seccomp.profile.oci import from_profile
from pytest_seccomp.profile.policy import Policy
from pytest_seccomp.profile.selection import Host

X32_BIT = 0x40000000
KERNEL = (6, 18)
NEW = {name for number in range(457, 472) if (name := name_of(X86_64, number))}
"""That libseccomp 2.5.4 does not know, and later versions do."""

VALUES = (0, 1, 2, 8, 9, 16, 38, 40, 0x20000, 0x20008, 0x7E020000, 2**32 - 1, 2**32, 2**32 + 8, 2**64 - 1)
ARGUMENTS = [(value,) * 6 for value in VALUES] + [(16, 3, 9, 0, 0, 0), (16, 3, 10, 0, 0, 0), (3, 16, 9, 0, 0, 0)]

# All that docker adds to profiles, on each of its sides, and each comparison
OURS: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 1,
    "archMap": [
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
    ],
    "syscalls": [
        {"names": ["read", "write", "mseal", "file_setattr", "sync_file_range2"], "action": "SCMP_ACT_ALLOW"},
        {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
        {"names": ["kcmp"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.19"}},
        {"names": ["acct"], "action": "SCMP_ACT_ALLOW", "excludes": {"minKernel": "4.8"}},
        {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN", "CAP_BPF"]}},
        {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN", "CAP_BPF"]}},
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["clone3"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
        {"names": ["arch_prctl"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "x32"]}},
        {"names": ["modify_ldt"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}},
        {"names": ["iopl"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64"]}},
        {"names": ["reboot"], "action": "SCMP_ACT_KILL_PROCESS"},
        {"names": ["swapon"], "action": "SCMP_ACT_KILL"},
        {"names": ["umask"], "action": "SCMP_ACT_LOG"},
        {"names": ["chroot"], "action": "SCMP_ACT_TRAP"},
        {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}]},
        {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
        {
            "names": ["clone"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
        },
        {
            "names": ["socket"],
            "action": "SCMP_ACT_ALLOW",
            "args": [
                {"index": 0, "value": 16, "op": "SCMP_CMP_NE"},
                {"index": 2, "value": 40, "op": "SCMP_CMP_LE"},
                {"index": 1, "value": 2**32, "op": "SCMP_CMP_LT"},
            ],
        },
        {"names": ["prctl"], "action": "SCMP_ACT_LOG", "args": [{"index": 5, "value": 38, "op": "SCMP_CMP_GE"}]},
        {"names": ["ioctl"], "action": "SCMP_ACT_TRAP", "args": [{"index": 1, "value": 2**32, "op": "SCMP_CMP_GT"}]},
        {"names": ["msgctl", "connect"], "action": "SCMP_ACT_ALLOW"},
    ],
}


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(OURS))
    return path


def read(path: Path, capabilities: frozenset[str] = frozenset()) -> Policy:
    return from_profile(path, Host(architecture.X86_64, KERNEL, capabilities))


def every_call() -> Iterator[tuple[int, int]]:
    """Each number of each architecture, and some that are no call's."""
    for arch in (X86_64, I386):
        names = sorted(all_names(arch))
        yield from ((arch, number) for name in names for number in numbers_of(name, arch))
        yield from ((arch, number) for number in (400, 480, 9999, 2**31, 2**32 - 1))
    yield from ((X86_64, X32_BIT | number) for number in (59, 400, 9999))


def calls_for(path: Path) -> Iterator[Call]:
    """Every call, those with conditions and i386's socketcall and ipc with all sorts of arguments."""
    entries = json.loads(path.read_text())["syscalls"]
    compared = {name for entry in entries if entry.get("args") for name in entry["names"]} | {"socketcall", "ipc"}
    for arch, number in every_call():
        bits = 2**32 - 1 if arch == I386 else 2**64 - 1
        for six in ARGUMENTS if name_of(arch, number) in compared else ARGUMENTS[:1]:
            a, b, c, d, e, f = (argument & bits for argument in six)
            yield Call(arch, number, (a, b, c, d, e, f))


def assert_as_in_a_container(path: Path, capabilities: frozenset[str]) -> None:
    policy = replace(read(path, capabilities), newer=None)  # which is runc's, not libseccomp's
    mine, theirs = decoded(program(policy)), decoded(reference(path, KERNEL, capabilities))
    for call in calls_for(path):
        if name_of(call.arch, call.number) not in {*NEW, "uretprobe", "uprobe", "map_shadow_stack"}:
            assert evaluate(mine, call.data) == evaluate(theirs, call.data), call


CAPABILITIES = pytest.mark.parametrize(
    "capabilities", [(), NAMES, ("CAP_SYS_ADMIN", "CAP_AUDIT_WRITE"), ("CAP_BPF",)], ids=["none", "all", "admin", "bpf"]
)


PROFILES = pytest.mark.parametrize(
    "path",
    [
        pytest.param(CONTAINER_PROFILE, id="podman", marks=pytest.mark.needs("container-profile")),
        pytest.param(DOCKERS_PROFILE, id="docker", marks=pytest.mark.needs("dockers-profile")),
    ],
)


@PROFILES
@CAPABILITIES
@pytest.mark.needs("libseccomp")
def test_a_default_profile_decides_as_in_a_container(path: Path, capabilities: tuple[str, ...]) -> None:
    assert_as_in_a_container(path, frozenset(capabilities))


@CAPABILITIES
@pytest.mark.needs("libseccomp")
def test_a_profile_for_docker_decides_as_in_a_container(ours: Path, capabilities: tuple[str, ...]) -> None:
    assert_as_in_a_container(ours, frozenset(capabilities))


@PROFILES
@pytest.mark.needs("i386")
def test_a_default_profile_decides_as_the_kernel(kernel: Kernel, path: Path) -> None:
    assert_as_the_kernel(kernel, path)


@pytest.mark.needs("i386")
def test_a_profile_for_docker_decides_as_the_kernel(kernel: Kernel, ours: Path) -> None:
    assert_as_the_kernel(kernel, ours)


def assert_as_the_kernel(kernel: Kernel, path: Path) -> None:
    code = program(read(path))
    calls = [call for call in calls_for(path) if call.arch != X86_64 or call.number not in UNFILTERED]
    assert kernel.verdicts(code, calls) == [evaluate(decoded(code), call.data) for call in calls]


def test_what_docker_adds_selects_entries(ours: Path) -> None:
    """Spelled out, for what the comparison with libseccomp leaves to the reader of both."""
    expected = {
        (): {"ptrace": "allow", "kcmp": "errno:EPERM", "acct": "errno:EPERM", "bpf": "errno:EPERM", "mount": "allow",
             "clone3": "errno:ENOSYS", "arch_prctl": "allow", "modify_ldt": "errno:EPERM", "iopl": "errno:EPERM",
             "mseal": "allow", "file_setattr": "allow", "reboot": "kill_process", "swapon": "kill_thread",
             "umask": "log", "chroot": "trap", "listmount": "errno:EPERM", "listns": "errno:ENOSYS"},
        ("CAP_BPF",): {"bpf": "errno:EPERM", "mount": "errno:EPERM", "clone3": "errno:ENOSYS"},
        ("CAP_SYS_ADMIN",): {"bpf": "errno:EPERM", "mount": "errno:EPERM", "clone3": "allow"},
        ("CAP_SYS_ADMIN", "CAP_BPF"): {"bpf": "allow", "mount": "errno:EPERM"},
    }  # fmt: skip
    for capabilities, actions in expected.items():
        code = decoded(program(read(ours, frozenset(capabilities))))
        found = {}
        for name in actions:
            number, *_ = numbers_of(name, X86_64)
            found[name] = str(Action.from_verdict(evaluate(code, Call(X86_64, number).data)))
        assert found == actions, capabilities


def test_a_foreign_architecture_is_killed(ours: Path) -> None:
    """By libseccomp's rule, the thread; so are the calls of x32 where a profile does not have it."""
    code = decoded(program(read(ours)))
    assert evaluate(code, Call(0xDEADBEEF, 0).data) == 0
    assert evaluate(code, Call(X86_64, X32_BIT).data) == 0x7FFF0000
    ours.write_text(json.dumps({**OURS, "archMap": []}))
    code = decoded(program(read(ours)))
    assert evaluate(code, Call(X86_64, X32_BIT).data) == 0
    assert evaluate(code, Call(I386, 3).data) == 0
    assert evaluate(code, Call(X86_64, 0).data) == 0x7FFF0000
    assert evaluate(code, Call(X86_64, 2**32 - 1).data) == 0x50001
