"""Profiles of the OCI and docker: each member, what is refused, and what is warned of."""

import json
from pathlib import Path
from typing import Any

import pytest
from judged import X86_64, Call

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux import architecture
from pytest_seccomp.profile.actions import Action
from pytest_seccomp.profile.bpf import decoded, evaluate
from pytest_seccomp.profile.compiling import program
from pytest_seccomp.profile.conditions import Condition, Operator
from pytest_seccomp.profile.oci import from_profile
from pytest_seccomp.profile.policy import Policy
from pytest_seccomp.profile.selection import Host

HOST = Host(architecture.X86_64, (6, 18), frozenset())
ENTRY: dict[str, Any] = {"names": ["kill"], "action": "SCMP_ACT_ALLOW"}


class Profiles:
    """Profiles written to a file, and read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, host: Host = HOST, **members: Any) -> Policy:
        """One with some members; `defaultAction` is there by default."""
        self.path.write_text(json.dumps({"defaultAction": "SCMP_ACT_ERRNO", **members}))
        return from_profile(self.path, host)

    def read_entry(self, **members: Any) -> Policy:
        """One with a single entry, with some members."""
        return self.read(syscalls=[{**ENTRY, **members}])


@pytest.fixture
def profiles(tmp_path: Path) -> Profiles:
    return Profiles(tmp_path / "p.json")


@pytest.mark.parametrize(
    ("members", "action"),
    [
        ({"defaultAction": "SCMP_ACT_KILL"}, "kill_thread"),
        ({"defaultAction": "SCMP_ACT_KILL_THREAD"}, "kill_thread"),
        ({"defaultAction": "SCMP_ACT_KILL_PROCESS"}, "kill_process"),
        ({"defaultAction": "SCMP_ACT_TRAP"}, "trap"),
        ({"defaultAction": "SCMP_ACT_ALLOW"}, "allow"),
        ({"defaultAction": "SCMP_ACT_LOG"}, "log"),
        ({"defaultAction": "SCMP_ACT_TRACE"}, "trace:1"),
        ({"defaultAction": "SCMP_ACT_TRACE", "defaultErrnoRet": 65535}, "trace:65535"),
        ({"defaultAction": "SCMP_ACT_ERRNO"}, "errno:EPERM"),
        ({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38}, "errno:ENOSYS"),
        ({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 0}, "errno:0"),
        ({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "EACCES"}, "errno:EACCES"),
        ({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "13", "defaultErrnoRet": 13}, "errno:EACCES"),
        ({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": ""}, "errno:EPERM"),
        ({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrno": ""}, "allow"),
    ],
)
def test_the_default_action(profiles: Profiles, members: dict[str, Any], action: str) -> None:
    policy = profiles.read(**members)
    assert (str(policy.default), str(policy.foreign), policy.warnings) == (action, "kill_thread", [])


def test_an_entry_has_an_action_of_its_own(profiles: Profiles) -> None:
    entries = [
        {"names": ["kill", "tkill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "comment": "why"},
        {"name": "tgkill", "action": "SCMP_ACT_LOG", "args": None, "includes": {}, "excludes": None},
    ]
    rules = profiles.read(syscalls=entries).rules
    assert [(rule.call.name, str(rule.action)) for rule in rules] == [
        ("kill", "errno:ENOSYS"),
        ("tkill", "errno:ENOSYS"),
        ("tgkill", "log"),
    ]


@pytest.mark.parametrize("operator", Operator)
def test_each_comparison(profiles: Profiles, operator: Operator) -> None:
    (rule,) = profiles.read_entry(args=[{"index": 5, "value": 7, "op": operator.value}]).rules
    masked = operator is Operator.MASKED_EQ
    assert rule.conditions == (Condition(5, operator, 0, 7) if masked else Condition(5, operator, 7),)


def test_bits_are_compared_with_the_second_value(profiles: Profiles) -> None:
    largest = 2**64 - 1
    argument = {"index": 0, "value": largest, "valueTwo": 5, "op": "SCMP_CMP_MASKED_EQ"}
    (rule,) = profiles.read_entry(args=[argument]).rules
    assert rule.conditions == (Condition(0, Operator.MASKED_EQ, 5, largest),)


def test_two_conditions_on_one_argument_are_alternatives(profiles: Profiles) -> None:
    arguments = [{"index": index, "value": value, "op": "SCMP_CMP_EQ"} for index, value in ((0, 1), (0, 2), (1, 3))]
    policy = profiles.read_entry(args=arguments)
    assert [rule.conditions for rule in policy.rules] == [
        (Condition(0, Operator.EQ, 1),),
        (Condition(0, Operator.EQ, 2),),
        (Condition(1, Operator.EQ, 3),),
    ]
    assert policy.warnings == [
        f"{profiles.path}: syscalls[0].args: one argument twice: as in runc, any one of the conditions is enough"
    ]


@pytest.mark.parametrize(
    ("members", "architectures"),
    [
        ({}, ("x86_64",)),
        ({"architectures": []}, ("x86_64",)),
        ({"architectures": ["SCMP_ARCH_X86"]}, ("x86_64", "i386")),
        ({"architectures": ["SCMP_ARCH_X32", "SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"]}, ("x86_64", "x32")),
        (
            {"archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}]},
            ("x86_64", "i386"),
        ),
        ({"archMap": [{"architecture": "SCMP_ARCH_X86", "subArchitectures": ["SCMP_ARCH_X32"]}]}, ("x86_64",)),
        ({"archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": None}]}, ("x86_64",)),
        ({"archMap": [], "architectures": ["SCMP_ARCH_X86"]}, ("x86_64", "i386")),
    ],
)
def test_architectures(profiles: Profiles, members: dict[str, Any], architectures: tuple[str, ...]) -> None:
    policy = profiles.read(**members)
    assert (policy.architectures, policy.warnings) == (architectures, [])


def test_another_machine_has_other_architectures(profiles: Profiles) -> None:
    host = Host(architecture.AARCH64, (6, 1), frozenset())
    listed = ["SCMP_ARCH_X86", "SCMP_ARCH_ARM"]
    assert profiles.read(host, architectures=listed).architectures == ("aarch64", "arm")


def test_what_is_newer_than_a_profile_is_answered_as_by_runc(profiles: Profiles) -> None:
    def decide(number: int, *entries: dict[str, Any], **members: Any) -> str:
        entry = {**ENTRY, "names": ["read", "mseal"]}
        code = decoded(program(profiles.read(**members, syscalls=[entry, *entries])))
        return str(Action.from_verdict(evaluate(code, Call(X86_64, number).data)))

    assert [decide(number) for number in (462, 461, 463)] == ["allow", "errno:EPERM", "errno:ENOSYS"]
    assert decide(463, defaultAction="SCMP_ACT_KILL") == "errno:ENOSYS"
    denied = {"names": ["setxattrat"], "action": "SCMP_ACT_ERRNO"}  # as by default, but known
    assert [decide(number, denied) for number in (463, 464)] == ["errno:EPERM", "errno:ENOSYS"]
    assert decide(463, defaultAction="SCMP_ACT_LOG") == "log"


def test_a_whole_configuration_of_a_container(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    profile: dict[str, Any] = {"defaultAction": "SCMP_ACT_LOG", "syscalls": [{**ENTRY, "nmae": 1}]}
    path.write_text(json.dumps({"ociVersion": "1.0.2", "process": {}, "linux": {"seccomp": profile}}))
    policy = from_profile(path, HOST)
    assert (str(policy.default), len(policy.rules)) == ("log", 1)
    assert policy.warnings == [
        f"{path}: linux.seccomp.syscalls[0].nmae: unknown member, not looked at: did you mean name?"
    ]
    path.write_text(json.dumps({"ociVersion": "1.0.2", "linux": {}}))
    with pytest.raises(SeccompError, match=r"config\.json: linux\.seccomp: null is no object$"):
        from_profile(path, HOST)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"defaultAction": None}, '"defaultAction" is missing'),
        (
            {"defaultAction": "SCMP_ACT_EPERM"},
            'defaultAction: "SCMP_ACT_EPERM" is no action: did you mean SCMP_ACT_ERRNO?',
        ),
        (
            {"defaultAction": "SCMP_ACT_NOTIFY"},
            "defaultAction: SCMP_ACT_NOTIFY asks an agent of the container runtime, and there is none",
        ),
        ({"defaultAction": "SCMP_ACT_TRAP", "defaultErrnoRet": 1}, "defaultErrnoRet: SCMP_ACT_TRAP gives no error"),
        ({"defaultErrnoRet": 4096}, "defaultErrnoRet: 4096 is no number from 0 to 4095"),
        ({"defaultErrno": "EPREM"}, "defaultErrno: 'EPREM' is no error: did you mean EPERM?"),
        (
            {"defaultErrno": "EACCES", "defaultErrnoRet": 1},
            '"defaultErrnoRet" is 1, "defaultErrno" is EACCES: they are different errors',
        ),
        (
            {"architectures": ["SCMP_ARCH_AMD64"]},
            'architectures[0]: "SCMP_ARCH_AMD64" is no architecture: did you mean SCMP_ARCH_ARM?',
        ),
        ({"archMap": [{}]}, 'archMap[0]: "architecture" is missing'),
        (
            {"architectures": ["SCMP_ARCH_ARM"], "archMap": [{"architecture": "SCMP_ARCH_ARM"}]},
            'both "architectures" and "archMap": use one of them',
        ),
        (
            {"flags": ["SECCOMP_FILTER_FLAG_TSINC"]},
            'flags[0]: "SECCOMP_FILTER_FLAG_TSINC" is no flag of filters: did you mean SECCOMP_FILTER_FLAG_TSYNC?',
        ),
        ({"syscalls": {}}, "syscalls: {} is no list"),
        ({"syscalls": ["kill"]}, 'syscalls[0]: "kill" is no object'),
        ({"syscalls": [{"names": ["kill"]}]}, 'syscalls[0]: "action" is missing'),
        ({"syscalls": [{"action": "SCMP_ACT_ALLOW"}]}, 'syscalls[0]: "names" is missing'),
    ],
)
def test_a_malformed_profile_is_refused_with_its_place(
    profiles: Profiles, members: dict[str, Any], message: str
) -> None:
    with pytest.raises(SeccompError) as caught:
        profiles.read(**members)
    assert str(caught.value) == f"{profiles.path}: {message}"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"names": []}, "syscalls[0].names: is empty"),
        ({"names": ["kill", ""]}, "syscalls[0].names[1]: is empty"),
        ({"name": "kill"}, 'syscalls[0]: both "name" and "names": use one of them'),
        ({"action": "allow"}, 'syscalls[0].action: "allow" is no action'),
        ({"errnoRet": 1}, "syscalls[0].errnoRet: SCMP_ACT_ALLOW gives no error"),
        ({"action": "SCMP_ACT_ERRNO", "errno": ["EPERM"]}, 'syscalls[0].errno: ["EPERM"] is no text'),
        ({"args": [{}]}, 'syscalls[0].args[0]: "index" is missing'),
        ({"args": [{"index": 0}]}, 'syscalls[0].args[0]: "op" is missing'),
        ({"args": [{"index": 6}]}, "syscalls[0].args[0].index: 6 is no number from 0 to 5"),
        (
            {"args": [{"index": 0, "op": "SCMP_CMP_EQQ"}]},
            'syscalls[0].args[0].op: "SCMP_CMP_EQQ" is no comparison: did you mean SCMP_CMP_EQ?',
        ),
        (
            {"args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": -1}]},
            "syscalls[0].args[0].value: -1 is no number from 0 to 18446744073709551615",
        ),
        (
            {"excludes": {"minKernel": "4"}},
            'syscalls[0].excludes.minKernel: "4" is no version of the kernel: write it as 4.8',
        ),
    ],
)
def test_a_malformed_entry_is_refused_with_its_place(profiles: Profiles, members: dict[str, Any], message: str) -> None:
    with pytest.raises(SeccompError) as caught:
        profiles.read_entry(**members)
    assert str(caught.value) == f"{profiles.path}: {message}"


def test_an_entry_that_does_not_hold_here_must_be_right_all_the_same(profiles: Profiles) -> None:
    with pytest.raises(SeccompError, match=r'"SCMP_CMP_NO" is no comparison'):
        profiles.read_entry(includes={"caps": ["CAP_BPF"]}, args=[{"index": 0, "op": "SCMP_CMP_NO"}])


@pytest.mark.parametrize(
    ("members", "warning"),
    [
        ({"sycalls": []}, "sycalls: unknown member, not looked at: did you mean syscalls?"),
        ({"flags": ["SECCOMP_FILTER_FLAG_LOG"]}, "flags[0]: denials are not written to the kernel's log"),
        ({"listenerPath": "/x"}, "listenerPath: not used, for there is no SCMP_ACT_NOTIFY"),
        (
            {"syscalls": [{**ENTRY, "names": ["kil", "kill", "kil"]}]},
            'syscalls[0].names[0]: no system call is named "kil", so it is left out: did you mean kill?',
        ),
        (
            {"syscalls": [{**ENTRY, "names": ["zzz"]}]},
            'syscalls[0].names[0]: no system call is named "zzz", so it is left out: it may be newer than this version',
        ),
        (
            {"syscalls": [{**ENTRY, "args": [{"index": 0, "value": 1, "valueTwo": 2, "op": "SCMP_CMP_EQ"}]}]},
            "syscalls[0].args[0].valueTwo: 2 is not looked at: only SCMP_CMP_MASKED_EQ has two",
        ),
    ],
)
def test_what_is_not_done_is_warned_of(profiles: Profiles, members: dict[str, Any], warning: str) -> None:
    assert profiles.read(**members).warnings == [f"{profiles.path}: {warning}"]


def test_what_changes_no_decision_is_not_warned_of(profiles: Profiles) -> None:
    flags = ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]
    elsewhere = {**ENTRY, "names": ["s390_pci_mmio_read", "timerfd", "swapcontext", "sync_file_range2", "recv"]}
    assert profiles.read(flags=flags, listenerPath="", syscalls=[elsewhere]).warnings == []


def test_rules_that_contradict_each_other_are_warned_of(profiles: Profiles) -> None:
    policy = profiles.read(syscalls=[ENTRY, {**ENTRY, "action": "SCMP_ACT_TRAP"}])
    assert [str(rule.action) for rule in policy.rules] == ["allow"]
    (warning,) = policy.warnings
    assert warning.startswith(f"{profiles.path}: kill: trap has no effect beside allow")
