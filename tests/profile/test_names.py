"""Policies from names and groups."""

import socket

import pytest
from judged import I386, X86_64, Call

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux import architecture
from pytest_seccomp.linux.syscalls import all_names, numbers_of
from pytest_seccomp.profile.actions import ALLOW, Action
from pytest_seccomp.profile.bpf import decoded, evaluate
from pytest_seccomp.profile.compiling import program
from pytest_seccomp.profile.groups import find
from pytest_seccomp.profile.names import from_names
from pytest_seccomp.profile.policy import Policy

EPERM = Action.parse("errno:EPERM")
X32_BIT = 0x40000000
SOCKET, SOCKETCALL, IPC = 41, 102, 117


def deny(*names: str, action: Action = EPERM) -> Policy:
    return from_names(architecture.X86_64, action, deny=names)


def decide(policy: Policy, arch: int, number: int, *arguments: int) -> str:
    a, b, c, d, e, f = (*arguments, *[0] * (6 - len(arguments)))
    data = Call(arch, number, (a, b, c, d, e, f)).data
    return str(Action.from_verdict(evaluate(decoded(program(policy)), data)))


def test_what_is_denied_is_denied_on_every_architecture() -> None:
    policy = deny("execve", "i386:open")
    for arch, number, expected in [
        (X86_64, 59, "errno:EPERM"),
        (X86_64, X32_BIT | 520, "errno:EPERM"),
        (I386, 11, "errno:EPERM"),
        (I386, 5, "errno:EPERM"),
        (X86_64, 2, "allow"),
        (X86_64, X32_BIT | 2, "allow"),
        (X86_64, 0, "allow"),
        (X86_64, 9999, "allow"),
        (0xDEADBEEF, 0, "errno:EPERM"),  # whatever that is: it cannot be known what it calls
    ]:
        assert decide(policy, arch, number) == expected, (arch, number)


def test_what_is_not_allowed_is_denied() -> None:
    policy = from_names(architecture.X86_64, Action("kill_process"), allow=["@basic-io", "0x27"])
    for arch, number, expected in [
        (X86_64, 0, "allow"),
        (X86_64, X32_BIT | 515, "allow"),  # readv of x32
        (I386, 3, "allow"),
        (X86_64, 39, "allow"),
        (I386, 39, "allow"),
        (X86_64, X32_BIT | 39, "kill_process"),
        (X86_64, 59, "kill_process"),
        (X86_64, 9999, "kill_process"),
    ]:
        assert decide(policy, arch, number) == expected, (arch, number)


def test_what_is_both_is_denied() -> None:
    policy = from_names(architecture.X86_64, EPERM, allow=["@system-service"], deny=["@internet", "connect"])
    assert decide(policy, X86_64, 0) == "allow"
    assert decide(policy, X86_64, 42) == "errno:EPERM"
    assert decide(policy, X86_64, SOCKET, socket.AF_UNIX) == "allow"
    assert decide(policy, X86_64, SOCKET, socket.AF_INET) == "errno:EPERM"
    assert decide(policy, I386, SOCKETCALL, 1) == "errno:EPERM"  # socket
    assert decide(policy, I386, SOCKETCALL, 3) == "errno:EPERM"  # connect
    assert decide(policy, I386, SOCKETCALL, 8) == "allow"  # socketpair


def test_internet_is_denied_by_the_family_alone() -> None:
    policy = deny("@internet")
    families = {socket.AF_UNIX: "allow", socket.AF_NETLINK: "allow", 0: "allow"}
    families |= dict.fromkeys((socket.AF_INET, socket.AF_INET6, socket.AF_PACKET), "errno:EPERM")
    for family, expected in families.items():
        for arch, number in ((X86_64, SOCKET), (X86_64, X32_BIT | SOCKET), (I386, 359)):
            assert decide(policy, arch, number, family) == expected
        # The kernel takes an int, so that the upper half of the register must not hide it
        assert decide(policy, X86_64, SOCKET, family | 2**32) == expected
    assert decide(policy, X86_64, 53, socket.AF_INET) == "allow"  # socketpair
    assert decide(policy, I386, SOCKETCALL, 1) == "errno:EPERM"
    assert decide(policy, I386, SOCKETCALL, 2) == "allow"


def test_allowing_internet_does_not_allow_other_sockets() -> None:
    policy = from_names(architecture.X86_64, EPERM, allow=["@internet"])
    assert decide(policy, X86_64, SOCKET, socket.AF_INET) == "allow"
    assert decide(policy, X86_64, SOCKET, socket.AF_UNIX) == "errno:EPERM"
    assert decide(policy, I386, SOCKETCALL, 1) == "errno:EPERM"


def test_parts_of_ipc_go_with_any_version() -> None:
    policy = deny("msgget")
    assert decide(policy, I386, IPC, 13) == "errno:EPERM"
    assert decide(policy, I386, IPC, 1 << 16 | 13) == "errno:EPERM"
    assert decide(policy, I386, IPC, 14) == "allow"


@pytest.mark.parametrize("group", ["@known", "@ipc", "@mount", "@clock"])
def test_all_of_a_group_is_denied(group: str) -> None:
    policy = deny(group)
    code = decoded(program(policy))
    members = {member.name for member in find(group).members()}
    for arch in (X86_64, I386):
        for name in all_names(arch):
            expected = EPERM if name in members else ALLOW
            for number in numbers_of(name, arch):
                assert evaluate(code, Call(arch, number).data) == expected.verdict, name


def test_another_machine_has_other_numbers() -> None:
    policy = from_names(architecture.AARCH64, EPERM, deny=["openat", "open"])
    aarch64, arm = architecture.AARCH64.audit_arch, architecture.ARM.audit_arch
    assert decide(policy, aarch64, 56) == "errno:EPERM"
    assert decide(policy, arm, 322) == "errno:EPERM"
    assert decide(policy, arm, 5) == "errno:EPERM"
    assert decide(policy, aarch64, 5) == "allow"


def test_a_call_of_another_machine_is_no_error() -> None:
    assert decide(deny("s390_pci_mmio_read", "timerfd"), X86_64, 0) == "allow"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ptrce", "no system call is named 'ptrce': did you mean ptrace or truncate or prctl?"),
        ("@intrenet", "no group of system calls is named '@intrenet': did you mean @internet?"),
        ("amd64:open", "unknown architecture 'amd64': name one as in x86_64:257, or leave it out"),
        ("9999999999", "no system call has the number 9999999999: it has 32 bits"),
    ],
)
def test_a_wrong_name_is_refused_with_the_nearest_right_one(name: str, message: str) -> None:
    for allow, denied in ((None, [name]), ([name], [])):
        with pytest.raises(SeccompError) as caught:
            from_names(architecture.X86_64, EPERM, allow=allow, deny=denied)
        assert str(caught.value) == message


def test_an_action_that_denies_nothing_is_refused() -> None:
    with pytest.raises(SeccompError, match="allow denies nothing: use errno:NAME"):
        deny("open", action=ALLOW)
