"""The state of the kernel's audit, and the rules that exclude records."""

import os
import random
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from child import output

from pytest_seccomp.linux import audit_control
from pytest_seccomp.linux.audit_control import Status, _may_exclude, may_be_excluded, status

SECCOMP, UNUSED = 1326, 1698
ALWAYS, NEVER = 2, 0
EXIT_LIST, EXCLUDE_LIST = 4, 5
UID, TYPE, EXE = 1, 12, 112
EQUAL, NOT_EQUAL, LESS, LESS_OR_EQUAL, GREATER, GREATER_OR_EQUAL, MASK = (
    0x40000000, 0x30000000, 0x10000000, 0x50000000, 0x20000000, 0x60000000, 0x08000000
)  # fmt: skip
ADD_RULE, DELETE_RULE = 1011, 1012


def rule(*conditions: tuple[int, int, int], filter_list: int = EXCLUDE_LIST, action: int = ALWAYS) -> bytes:
    """A struct audit_rule_data; conditions are field, operator, value."""
    columns = [[condition[index] for condition in conditions] for index in (0, 2, 1)]
    padded = [number for column in columns for number in column + [0] * (64 - len(column))]
    return struct.pack("=3I64I192II", filter_list, action, len(conditions), *[0xFFFFFFFF] * 64, *padded, 0)


def change_rules(kind: int, data: bytes) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9) as control:
        control.settimeout(10)
        control.sendto(struct.pack("=IHHII", 16 + len(data), kind, 1 | 4, 1, 0) + data, (0, 0))
        code = struct.unpack_from("=i", control.recv(65536), 16)[0]
        assert code == 0, os.strerror(-code)


@pytest.fixture
def unused_type_excluded() -> Iterator[None]:
    """A rule of the real kernel, of a type that it never makes: nobody else notices. There can be one of each, and
    another run on this machine may make its own: so it is about a user as well."""
    excluding = rule((TYPE, EQUAL, UNUSED), (UID, EQUAL, random.SystemRandom().randrange(2**31)))
    change_rules(ADD_RULE, excluding)
    try:
        yield
    finally:
        change_rules(DELETE_RULE, excluding)


@pytest.mark.parametrize(
    ("data", "excludes"),
    [
        (rule((TYPE, EQUAL, SECCOMP)), True),
        (rule((TYPE, EQUAL, SECCOMP), action=NEVER), True),
        (rule((TYPE, EQUAL, SECCOMP), filter_list=EXIT_LIST), False),
        (rule((TYPE, EQUAL, 1327)), False),
        (rule((TYPE, NOT_EQUAL, 1327)), True),
        (rule((TYPE, NOT_EQUAL, SECCOMP)), False),
        (rule((TYPE, LESS, 1327)), True),
        (rule((TYPE, LESS, SECCOMP)), False),
        (rule((TYPE, LESS_OR_EQUAL, SECCOMP)), True),
        (rule((TYPE, LESS_OR_EQUAL, 1325)), False),
        (rule((TYPE, GREATER, 1325)), True),
        (rule((TYPE, GREATER, SECCOMP)), False),
        (rule((TYPE, GREATER_OR_EQUAL, SECCOMP)), True),
        (rule((TYPE, GREATER_OR_EQUAL, 1327)), False),
        (rule((TYPE, MASK, 1)), True),
        (rule((TYPE, GREATER, 1300), (TYPE, LESS, 1400)), True),
        (rule((TYPE, GREATER, 1300), (TYPE, LESS, 1320)), False),
        (rule((UID, EQUAL, 1000)), True),
        (rule((UID, EQUAL, SECCOMP), (TYPE, EQUAL, 1300)), False),
        (rule((EXE, EQUAL, 9), (TYPE, EQUAL, SECCOMP)), True),
        (rule(), False),
    ],
)
def test_a_rule_may_exclude_seccomp_records(data: bytes, excludes: bool) -> None:
    assert _may_exclude(list(struct.unpack("=260I", data)), SECCOMP) is excludes


@pytest.mark.needs("audit")
def test_the_state() -> None:
    now = status()
    assert now.auditd == 0 or Path(f"/proc/{now.auditd}").exists()


def test_the_state_is_in_its_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """struct audit_status: mask, enabled, failure, pid, rate_limit, backlog_limit, lost, backlog, version,
    backlog_wait_time, and from Linux 5.9 on backlog_wait_time_actual."""
    monkeypatch.setattr(audit_control, "_ask", lambda request, name: [struct.pack("=11I", *range(100, 111))])
    now = status()
    assert (now.enabled, now.auditd, now.rate_limit, now.backlog_limit, now.lost) == (True, 103, 104, 105, 106)
    assert (now.wait_limit, now.waited) == (109, 110)
    monkeypatch.setattr(audit_control, "_ask", lambda request, name: [struct.pack("=10I", *range(100, 110))])
    assert (status().lost, status().wait_limit, status().waited) == (106, 0, 0)


def state(lost: int = 5, waited: int = 0, wait_limit: int = 15000, rate_limit: int = 0) -> Status:
    return Status([0, 1, 1, 0, rate_limit, 64, lost, 0, 0, wait_limit, waited])


@pytest.mark.parametrize(
    ("before", "now", "all_made"),
    [
        (state(), state(waited=99999), True),
        (state(), state(lost=7), True),
        (state(waited=2**32 - 1), state(lost=7, waited=14998), True),
        (state(waited=100), state(lost=7, waited=15100), False),
        (state(), state(lost=7, rate_limit=1), False),
        (state(rate_limit=1), state(lost=7), False),
        (state(), state(lost=7, wait_limit=0), False),
        (state(wait_limit=0), state(lost=7), False),
        (state(wait_limit=10), state(lost=7, waited=10), False),
        (state(), state(lost=4), False),  # set back: nobody knows when
    ],
)
def test_whether_what_is_lost_was_never_made(before: Status, now: Status, all_made: bool) -> None:
    assert now.made_all_since(before) is all_made


@pytest.mark.needs("audit")
def test_rules_of_the_kernel(unused_type_excluded: None) -> None:
    assert may_be_excluded(UNUSED)


@pytest.mark.needs("audit")
def test_without_a_rule_nothing_is_excluded() -> None:
    assert not may_be_excluded(UNUSED - 1)


@pytest.mark.needs("root")
def test_it_takes_a_capability() -> None:
    program = """
        import os
        from pytest_seccomp.linux import audit_control
        os.setresuid(65534, 65534, 65534)
        for ask in audit_control.status, audit_control.may_be_excluded:
            try:
                ask()
            except OSError as error:
                print(type(error).__name__, error.filename)
    """
    assert output(program) == "PermissionError AUDIT_GET\nPermissionError AUDIT_LIST_RULES\n"


def test_leaves_no_socket_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    try:
        status()
    except OSError:
        pass  # without the capability
    assert len(os.listdir("/proc/self/fd")) == before
