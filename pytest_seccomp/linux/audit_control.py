"""What the kernel's audit says of itself: its state, and whether a rule keeps it from making records.

For whoever has CAP_AUDIT_CONTROL and is in the initial user and pid namespaces. Only for little-endian machines.
Sources: netlink(7), include/uapi/linux/audit.h, kernel/audit.c (audit_netlink_ok, audit_receive_msg),
kernel/auditfilter.c (audit_filter, audit_comparator).
"""

import _socket
import os

from pytest_seccomp.linux.audit_log import FAMILY, HEADER_LENGTH
from pytest_seccomp.linux.seccomp_record import RECORD_TYPE

_GET = 1000
_LIST_RULES = 1013
_ERROR = 2
_DONE = 3
_REQUEST_AND_ACKNOWLEDGE = 1 | 4

_LONGEST = 32768
_SECONDS = 5

_FILTER_EXCLUDE = 5
_FIELD_TYPE = 12
_MOST_FIELDS = 64
_FIELDS = 3 + 64
"""Index of the first field in the words of struct audit_rule_data: three numbers and a bit mask come before."""


class Status:
    """The state of the kernel's audit when it was asked."""

    __slots__ = ("auditd", "backlog_limit", "enabled", "lost", "rate_limit", "wait_limit", "waited")

    def __init__(self, words: list[int]) -> None:
        self.enabled = words[1] != 0
        """Whether rules are in force that make records of system calls. Seccomp records are made in either case."""
        self.auditd = words[3]
        """The pid of auditd, 0 where none runs. While one does, no record is printed to the kernel's log."""
        self.rate_limit = words[4]
        """How many messages may be made in a second, 0 for any number; what is more is `lost`."""
        self.backlog_limit = words[5]
        """How many messages may wait to be sent, 0 for any number; then processes wait that make more."""
        self.lost = words[6]
        """How many messages of any type were not made or not sent, since the start or since it was set back (so that a
        smaller number than before is no proof, either). The drops of a slow reader are not among them."""
        self.wait_limit, self.waited = words[9:11] if len(words) > 10 else (0, 0)
        """How long a process waits at most until there is room in the backlog, before its message is not made, and how
        long all of them together have waited, in the kernel's ticks; both 0 before Linux 5.9, which does not tell."""

    def made_all_since(self, before: "Status") -> bool:
        """Whether every message was made since an earlier state, for processes that could wait, as in system calls.

        What is `lost` then was sent to us before it was lost: to an auditd that is too slow, or in the queue for one
        that does not run (kauditd_retry_skb, kauditd_hold_skb). Without a limit of the rate a message is not made only
        when its process has waited for as long as it may.
        """
        if self.lost == before.lost:
            return True
        limited = before.rate_limit or self.rate_limit
        waited = (self.waited - before.waited) % 2**32
        return not limited and self.lost > before.lost and waited < min(before.wait_limit, self.wait_limit)


def status() -> Status:
    """Ask for it. Raises OSError: EPERM without CAP_AUDIT_CONTROL or in another pid namespace, ECONNREFUSED in another
    user namespace, EPROTONOSUPPORT in a kernel without audit."""
    (answer,) = _ask(_GET, "AUDIT_GET")
    return Status(_words(answer))


def may_be_excluded(kind: int = RECORD_TYPE) -> bool:
    """Whether a rule keeps messages of a type from being made, for some processes at least: they are missing without a
    trace. Raises OSError as `status` does."""
    return any(_may_exclude(_words(rule), kind) for rule in _ask(_LIST_RULES, "AUDIT_LIST_RULES"))


def _may_exclude(rule: list[int], kind: int) -> bool:
    """Of the conditions of a rule, which must all be true, only that on the type is looked at: others are about who."""
    filter_list, _, count = rule[:3]
    fields, values, operators = (rule[_FIELDS + n * _MOST_FIELDS :][:count] for n in range(3))
    return (
        filter_list == _FILTER_EXCLUDE
        and count > 0
        and all(
            field != _FIELD_TYPE or _compare(kind, operator, value)
            for field, value, operator in zip(fields, values, operators, strict=True)
        )
    )


def _compare(left: int, operator: int, right: int) -> bool:
    match operator:
        case 0x40000000:
            return left == right
        case 0x30000000:
            return left != right
        case 0x10000000:
            return left < right
        case 0x50000000:
            return left <= right
        case 0x20000000:
            return left > right
        case 0x60000000:
            return left >= right
    return True  # a bit mask, of no use with types, or new: it may be true


def _words(data: bytes) -> list[int]:
    """The 32-bit words that it begins with."""
    return memoryview(data)[: len(data) // 4 * 4].cast("I").tolist()


def _ask(request: int, name: str) -> list[bytes]:
    """Send a request without arguments, and receive the one answer, or all up to the message that ends them."""
    control = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, FAMILY)
    try:
        control.settimeout(_SECONDS)
        control.bind((0, 0))
        control.sendto(_message(request), (0, 0))
        answers: list[bytes] = []
        while True:
            data, (port, _) = control.recvfrom(_LONGEST)
            kind, body = int.from_bytes(data[4:6], "little"), data[HEADER_LENGTH:]
            if port != 0:
                continue  # not from the kernel
            if kind == _ERROR:
                code = -int.from_bytes(body[:4], "little", signed=True)
                if code:  # 0 acknowledges the request, before or after the answer
                    raise OSError(code, os.strerror(code), name)
            elif kind == _DONE:
                return answers
            elif kind == request:
                answers.append(body)
                if request == _GET:
                    return answers
    finally:
        control.close()


def _message(kind: int) -> bytes:
    """A struct nlmsghdr, and nothing after it."""
    length, sequence, port = HEADER_LENGTH, 1, 0
    halves = ((length, 4), (kind, 2), (_REQUEST_AND_ACKNOWLEDGE, 2), (sequence, 4), (port, 4))
    return b"".join(value.to_bytes(size, "little") for value, size in halves)
