"""Groups of system calls: the table, and groups in groups."""

import socket

import pytest
from systemd_groups import NEWEST, must_be_none, of_this_machine, of_version, unlike_ours, version_here

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux.syscalls import all_names
from pytest_seccomp.profile.groups import KNOWN, Member, find, groups

# systemd has them in @known alone; the calls of 32-bit ARM are its private ones
IN_NO_GROUP = {
    "breakpoint", "lsm_set_self_attr", "memfd_secret", "mincore", "syslog", "usr26", "usr32",
}  # fmt: skip
# Of architectures that the table of numbers does not have, such as PowerPC and S/390
FOREIGN = {
    "fstatat", "llseek", "newfstat", "rtas", "s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr",
    "subpage_prot", "swapcontext", "switch_endian", "sync_file_range2", "sys_debug_setcontext",
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


@pytest.mark.needs("systemd")
def test_groups_are_those_of_this_machines_systemd() -> None:
    """But for calls that systemd has in no group, and those that have come to theirs later."""
    theirs = of_this_machine()
    assert {*groups()} - {*theirs} <= {"@internet", "@sandbox"}
    must_be_none(unlike_ours(theirs, version_here()))
    assert len(frozenset().union(*(calls for name, calls in theirs.items() if name != KNOWN))) > 400


def test_a_call_in_another_group_than_systemds_is_found() -> None:
    newest = of_version(NEWEST)
    assert unlike_ours(newest, NEWEST) == []
    moved = {**newest, "@mount": newest["@mount"] - {"umount2"}, "@swap": newest["@swap"] | {"umount2"}}
    assert unlike_ours(moved, NEWEST) == ["umount2 in @mount", "umount2 in @swap"]
    older = of_version(252)
    assert ("open_tree" in newest["@mount"], "open_tree" in older["@mount"]) == (False, True)
    assert unlike_ours(older, 252) == []
    assert unlike_ours(older, NEWEST) == ["open_tree in @file-system", "open_tree in @system-service"]


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
