"""Groups of system calls: the table, and groups in groups."""

import re
import socket
import subprocess

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux.syscalls import all_names
from pytest_seccomp.profile.groups import KNOWN, Member, find, groups

# systemd has them in @known alone; the calls of 32-bit ARM are its private ones
IN_NO_GROUP = {
    "breakpoint", "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "memfd_secret", "mincore", "syslog",
    "usr26", "usr32",
}  # fmt: skip
# Of architectures that the table of numbers does not have (PowerPC, S/390)
FOREIGN = {
    "rtas", "s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr", "subpage_prot", "swapcontext",
    "switch_endian", "sync_file_range2", "sys_debug_setcontext",
}  # fmt: skip


def names(group: str) -> frozenset[str]:
    return frozenset(member.name for member in find(group).members())


def test_each_known_call_is_in_a_group_but_for_the_few_that_belong_to_none() -> None:
    grouped = frozenset().union(*(names(group) for group in groups() if group != KNOWN))
    assert all_names() - grouped == IN_NO_GROUP
    assert grouped - all_names() == FOREIGN


def test_known_has_every_call_of_the_table() -> None:
    assert names(KNOWN) == all_names()


@pytest.mark.parametrize("group", groups())
def test_groups_in_a_group_exist_and_their_calls_are_its_own(group: str) -> None:
    for included in find(group).includes:
        assert find(included).members() <= find(group).members()


@pytest.mark.parametrize("group", groups())
def test_a_group_says_what_it_is_for_and_names_no_call_twice(group: str) -> None:
    found = find(group)
    assert found.description
    assert len(set(found.own)) == len(found.own)
    assert found.members()


@pytest.fixture(scope="module")
def of_systemd() -> dict[str, frozenset[str]]:
    """The calls of systemd's groups, with those of groups in them."""
    command = ["systemd-analyze", "--no-pager", "syscall-filter"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    sections = dict(re.findall(r"^(@\S+)\n((?: .*\n)+)", listed, re.MULTILINE))
    own = {name: re.findall(r"^ +([^#\s]+)$", text, re.MULTILINE) for name, text in sections.items()}

    def members(name: str) -> frozenset[str]:
        return frozenset().union(*(members(one) if one.startswith("@") else {one} for one in own[name]))

    return {name: members(name) for name in own}


@pytest.mark.needs("systemd")
def test_groups_have_the_calls_of_systemds_and_only_those_besides_that_systemd_has_in_none(
    of_systemd: dict[str, frozenset[str]],
) -> None:
    assert {*groups()} - {*of_systemd} <= {"@internet", "@sandbox"}
    grouped = frozenset().union(*(calls for name, calls in of_systemd.items() if name != KNOWN))
    for name in {*of_systemd} - {KNOWN}:
        assert of_systemd[name] <= names(name), name
        assert not (names(name) - of_systemd[name]) & grouped, name
    assert len(grouped) > 400


def test_what_groups_are_about() -> None:
    assert names("@keyring") == {"add_key", "keyctl", "request_key"}
    assert names("@swap") == {"swapon", "swapoff"}
    assert {"openat", "newfstatat", "setxattrat"} <= names("@file-system")
    assert {"socketpair", "connect"} <= names("@network-io") <= names("@system-service")
    assert "mount" not in names("@system-service")


def test_internet_is_told_by_the_family_of_a_socket() -> None:
    members = find("@internet").members()
    assert {member.value for member in members} == {socket.AF_INET, socket.AF_INET6, socket.AF_PACKET}
    assert {member.name for member in members} == {"socket"}
    assert str(Member("socket", "AF_INET")) == "socket(AF_INET)"
    assert Member("bind").value is None


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("@mont", "did you mean @mount?"),
        ("file-system", "did you mean @file-system?"),
        ("@", "pytest-seccomp groups lists them"),
    ],
)
def test_an_unknown_group_is_an_error_that_names_the_nearest(name: str, remedy: str) -> None:
    with pytest.raises(SeccompError) as caught:
        find(name)
    assert str(caught.value) == f"no group of system calls is named {name!r}: {remedy}"
