"""The kernel's seccomp records and the account of what is missing, on made-up channels."""

import errno
import os
import socket
import subprocess
from collections.abc import Iterator

import printed
import pytest
from child import output

from pytest_seccomp.errors import BackendError
from pytest_seccomp.linux import audit_control, kmsg
from pytest_seccomp.linux.audit_log import Message
from pytest_seccomp.linux.kmsg import KernelLog
from pytest_seccomp.linux.seccomp_record import LINE_START, RECORD_TYPE, SeccompRecord
from pytest_seccomp.recorder import kernel_log
from pytest_seccomp.recorder.kernel_log import AUDIT, KMSG, SOURCES, SeccompLog, open_log

ACTIONS = ("log", "errno")
OF_NO_SERIAL = Message(2, bytes(20))


class Host:
    """A made-up host: what its kernel logs, and what it says of that."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.messages: list[list[Message]] = []
        self.overruns = self.dropped = 0
        self.actions = {"log", "errno", "trap"}
        self.status: audit_control.Status | None = audit_control.Status([0] * 10)
        self.excluded = False
        self.limit: tuple[int, int] | None = (10, 5)
        self.descriptor = 77
        self.lines, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        theirs.setblocking(False)
        self.log = KernelLog(theirs.detach())
        self._sequence = 0
        monkeypatch.setattr(kernel_log, "AuditLog", lambda: self)
        monkeypatch.setattr(kmsg, "open_at_end", lambda: self.log)
        monkeypatch.setattr(kernel_log, "actions_logged", lambda: frozenset(self.actions))
        monkeypatch.setattr(audit_control, "status", self._status)
        monkeypatch.setattr(audit_control, "may_be_excluded", lambda: self.excluded)
        monkeypatch.setattr(kernel_log, "_print_limit", lambda: self.limit)

    def receive(self) -> list[Message]:
        return self.messages.pop(0) if self.messages else []

    def print(self, *texts: bytes, kind: int = RECORD_TYPE, skipped: int = 0) -> None:
        for text in texts:
            self._sequence += 1 + skipped
            self.lines.send(b"5,%d,1,-;audit: type=%d %s\n" % (self._sequence, kind, text))

    def _status(self) -> audit_control.Status:
        if self.status is None:
            raise PermissionError(errno.EPERM, "no")
        return self.status

    def close(self) -> None:
        self.lines.close()
        self.log.close()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    made = Host(monkeypatch)
    yield made
    made.close()


def message(serial: int) -> Message:
    return Message(RECORD_TYPE, printed.record(serial=serial))


def of_another_type(serial: int) -> Message:
    return Message(1300, b"audit(1795473200.693:%d): arch=c000003e syscall=59" % serial)


def serials(records: list[SeccompRecord]) -> list[int]:
    return [record.serial for record in records]


def received(log: SeccompLog) -> list[int]:
    """The serials of all that is there."""
    found: list[int] = []
    while records := log.receive():
        found += serials(records)
    return found


def test_records_come_in_the_order_in_which_they_were_made(host: Host) -> None:
    log = open_log(AUDIT, ACTIONS)
    host.messages = [[message(10), of_another_type(11), message(13), OF_NO_SERIAL, message(12)], [message(14)]]
    assert serials(log.receive()) == [10, 13, 12]
    assert serials(log.receive()) == [14]
    assert log.receive() == []


def test_a_batch_without_records_is_not_the_end(host: Host) -> None:
    log = open_log(AUDIT, ACTIONS)
    host.messages = [[of_another_type(10)], [OF_NO_SERIAL], [message(11)]]
    assert serials(log.receive()) == [11]


def test_the_text_of_another_type_is_no_record(host: Host) -> None:
    """A user may send audit messages of types of their own (1100 and more), with any text."""
    log = open_log(AUDIT, ACTIONS)
    host.messages = [[Message(1107, printed.record(serial=10)), message(11)]]
    assert received(log) == [11]


def test_nothing_is_missing(host: Host) -> None:
    log = open_log(AUDIT, ACTIONS)
    host.messages = [[message(10), message(12), of_another_type(11), message(13), message(13)]]
    received(log)
    log.begin(10)
    assert log.missing(13) == 0
    assert log.losses(13) == []
    assert log.conditions() == []
    assert log.lost == 0


def test_what_was_there_before_the_beginning_does_not_count(host: Host) -> None:
    log = open_log(AUDIT, ACTIONS)
    host.overruns, host.dropped = 1, 7
    host.messages = [[message(3), Message(RECORD_TYPE, b"audit(1.000:4): new"), message(10), message(11)]]
    received(log)
    log.begin(10)
    assert (log.losses(11), log.lost) == ([], 0)


def test_a_gap(host: Host) -> None:
    log = open_log(AUDIT, ACTIONS)
    host.messages = [[message(10), message(14)]]
    received(log)
    log.begin(10)
    assert log.missing(14) == 3
    assert log.losses(14) == ["3 audit records were lost: they did not come"]
    host.messages = [[message(15), message(17)]]
    received(log)
    assert log.losses(15) == []
    assert log.losses(17) == ["1 audit record was lost: they did not come"]
    assert log.all_losses() == ["4 audit records were lost: they did not come"]
    assert log.lost == 4


def test_a_record_that_comes_late_is_not_missing(host: Host) -> None:
    log = open_log(AUDIT, ACTIONS)
    host.messages = [[message(10), message(12), message(13)]]
    received(log)
    log.begin(10)
    assert log.missing(13) == 1
    host.messages = [[of_another_type(11)]]
    received(log)
    assert log.missing(13) == 0
    assert log.losses(13) == []


def test_a_loss_that_leaves_no_gap(host: Host) -> None:
    """Events of several messages, of which one has come."""
    log = open_log(AUDIT, ACTIONS)
    host.messages = [[message(10), message(11), message(12)]]
    received(log)
    log.begin(10)
    host.overruns, host.dropped = 1, 3
    assert log.losses(11) == ["3 audit records were lost: they came faster than they were read"]
    assert log.losses(12) == []
    assert log.lost == 3


def test_an_overrun_whose_cost_is_not_known(host: Host) -> None:
    log = open_log(AUDIT, ACTIONS)
    host.messages = [[message(10), message(11)]]
    received(log)
    log.begin(10)
    host.overruns = 1
    assert log.losses(11) == ["1 audit record was lost: they came faster than they were read"]


def test_a_record_that_cannot_be_read(host: Host) -> None:
    log = open_log(AUDIT, ACTIONS)
    host.messages = [[message(10), Message(RECORD_TYPE, b"audit(1.000:11): something new"), message(12)]]
    assert received(log) == [10, 12]
    log.begin(10)
    host.messages = [[Message(RECORD_TYPE, printed.record(serial=13)[:-3]), message(14)]]
    received(log)
    (reason,) = log.losses(14)
    assert reason.startswith("1 seccomp record was not as known kernels print them")
    assert log.lost == 1


def test_no_account_without_a_beginning(host: Host) -> None:
    log = open_log(AUDIT, ACTIONS)
    with pytest.raises(ValueError, match="no first serial"):
        log.losses(14)


@pytest.mark.parametrize("source", SOURCES)
def test_what_the_kernel_has_lost_itself(host: Host, source: str) -> None:
    host.status = audit_control.Status([0, 0, 0, 0, 0, 64, 5])
    log = open_log(source, ACTIONS)
    assert log.conditions() == []
    host.status = audit_control.Status([0, 0, 0, 0, 0, 64, 12])
    assert log.conditions() == ["7 audit records were lost by the kernel before it could send them"]
    host.status = audit_control.Status([0, 0, 0, 0, 0, 64, 0])
    assert log.conditions() == ["audit records were lost by the kernel before it could send them"]
    assert log.conditions() == []
    assert log.lost == 7


@pytest.mark.parametrize("source", SOURCES)
def test_what_the_kernel_has_lost_on_the_way_to_auditd(host: Host, source: str) -> None:
    """Nobody has waited in vain for a message to be made."""
    host.status = audit_control.Status([0, 0, 0, 0, 0, 64, 5, 0, 0, 15000, 100])
    log = open_log(source, ACTIONS)
    host.status = audit_control.Status([0, 0, 0, 0, 0, 64, 12, 0, 0, 15000, 15099])
    assert (log.conditions(), log.lost) == ([], 0)


@pytest.mark.parametrize("source", SOURCES)
def test_a_rule_that_excludes_records(host: Host, source: str) -> None:
    log = open_log(source, ACTIONS)
    host.excluded = True
    (reason,) = log.conditions()
    assert "an audit rule of this host excludes seccomp records" in reason
    with pytest.raises(BackendError, match="an audit rule of this host excludes seccomp records") as caught:
        open_log(source, ACTIONS)
    assert "auditctl -l" in caught.value.remedy


@pytest.mark.parametrize("source", SOURCES)
def test_an_action_that_is_not_logged(host: Host, source: str) -> None:
    log = open_log(source, ACTIONS)
    host.actions = {"log"}
    assert log.conditions() == ["kernel.seccomp.actions_logged lacks errno: that is not logged"]
    with pytest.raises(BackendError, match="lacks errno"):
        open_log(source, ACTIONS)


def test_a_kernel_that_does_not_say_what_it_logs(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> frozenset[str]:
        raise FileNotFoundError(errno.ENOENT, "none", "actions_logged")

    monkeypatch.setattr(kernel_log, "actions_logged", nothing)
    with pytest.raises(BackendError, match=r"needs Linux 4\.14"):
        open_log(AUDIT, ACTIONS)


def test_without_the_capability_to_ask(host: Host) -> None:
    host.status, host.excluded = None, True
    log = open_log(AUDIT, ACTIONS)
    assert "that takes CAP_AUDIT_CONTROL" in log.notes[0]
    assert log.conditions() == []


def test_a_rate_limit_is_noted(host: Host) -> None:
    host.status = audit_control.Status([0, 0, 0, 0, 100, 64, 0])
    assert "100 audit records a second" in open_log(AUDIT, ACTIONS).notes[0]


def test_lines_that_are_printed(host: Host) -> None:
    log = open_log(KMSG, ACTIONS)
    host.print(printed.record(serial=10), printed.record(serial=11))
    host.print(b"audit(1.000:12): other", kind=1300)
    host.print(b"no event", kind=2000)
    host.lines.send(b"5,5,1,-;other: type=1326 %s\n" % printed.record(serial=20))
    host.lines.send(b"13,6,1,-;%s%s\n" % (LINE_START, printed.record(serial=21)))
    host._sequence = 6
    host.print(printed.record(serial=13))
    assert received(log) == [10, 11, 13]
    log.begin(10)
    assert log.missing(13) == 0
    assert log.losses(13) == []


def test_records_that_were_not_printed(host: Host) -> None:
    log = open_log(KMSG, ACTIONS)
    assert "lossy by nature: the kernel prints 10 records in 5 s" in log.notes[0]
    host.print(printed.record(serial=10), printed.record(serial=100))
    received(log)
    log.begin(10)
    assert log.losses(100) == [
        "89 audit records were not printed: the kernel prints 10 in 5 s (printk_ratelimit)",
    ]
    assert log.lost == 89


def test_records_that_were_overwritten(host: Host) -> None:
    host.limit = None
    log = open_log(KMSG, ACTIONS)
    assert "lossy by nature: records are overwritten" in log.notes[0]
    host.print(printed.record(serial=10))
    host.print(printed.record(serial=13), skipped=2)
    received(log)
    log.begin(10)
    assert log.losses(13) == ["2 audit records were overwritten in the kernel's log before they were read"]


def test_records_that_were_cut(host: Host) -> None:
    log = open_log(KMSG, ACTIONS)
    host.print(printed.record(serial=10))
    received(log)
    log.begin(10)
    host.print(printed.record(serial=11)[:-30], printed.record(serial=12))
    received(log)
    assert log.losses(12) == ["1 seccomp record was cut: the kernel's log has no room for the whole path of a program"]


def test_auditd_takes_what_would_be_printed(host: Host) -> None:
    log = open_log(KMSG, ACTIONS)
    host.status = audit_control.Status([0, 0, 0, 4711, 0, 64, 0])
    (reason,) = log.conditions()
    assert reason.startswith("auditd runs (process 4711)")
    with pytest.raises(BackendError, match="auditd runs") as caught:
        open_log(KMSG, ACTIONS)
    assert "use audit" in caught.value.remedy
    assert open_log(AUDIT, ACTIONS).conditions() == []


@pytest.mark.parametrize(
    ("source", "code", "reason", "remedy"),
    [
        (AUDIT, errno.EPERM, "CAP_AUDIT_READ", "--cap-add=AUDIT_READ"),
        (AUDIT, errno.EPROTONOSUPPORT, "this kernel has no audit", "CONFIG_AUDIT"),
        (AUDIT, errno.ENOMEM, os.strerror(errno.ENOMEM), "another source"),
        (KMSG, errno.ENOENT, "there is no /dev/kmsg here", "--device=/dev/kmsg"),
        (KMSG, errno.EPERM, "CAP_SYSLOG", "kernel.dmesg_restrict"),
        (KMSG, errno.EACCES, "/dev/kmsg: Permission denied", "as root"),
        (KMSG, errno.ELOOP, "/dev/kmsg is not the kernel's log", "remove it"),
        (KMSG, errno.ENODEV, "/dev/kmsg is not the kernel's log", "remove it"),
        (KMSG, errno.EIO, os.strerror(errno.EIO), "another source"),
    ],
)
def test_a_channel_that_cannot_be_opened(
    host: Host, monkeypatch: pytest.MonkeyPatch, source: str, code: int, reason: str, remedy: str
) -> None:
    def refuse() -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(kernel_log, "AuditLog", refuse)
    monkeypatch.setattr(kmsg, "open_at_end", refuse)
    with pytest.raises(BackendError) as caught:
        open_log(source, ACTIONS)
    assert reason in caught.value.reason
    assert remedy in caught.value.remedy
    assert "\n" not in str(caught.value)


def test_what_the_kernel_prints_in_how_many_seconds() -> None:
    limits = [
        int(subprocess.run(["cat", f"/proc/sys/kernel/{name}"], capture_output=True, check=True).stdout)
        for name in ("printk_ratelimit_burst", "printk_ratelimit")
    ]
    assert kernel_log._print_limit() == (tuple(limits) if limits[1] else None)


def test_few_modules_come_with_it() -> None:
    """The recorder imports it."""
    program = """
        import sys
        before = set(sys.modules)
        import pytest_seccomp.recorder.kernel_log
        print(*sorted(name for name in set(sys.modules) - before if not name.startswith("pytest_seccomp")))
    """
    assert set(output(program).split()) <= {"_socket", "__future__", "errno", "select", "time"}
