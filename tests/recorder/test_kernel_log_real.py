"""The kernel's real seccomp records, the account of what is missing among them, and who may read them."""

import os
import select
import time
from collections.abc import Callable, Iterator

import logged
import pytest
from child import output
from running import until

from pytest_seccomp.linux.audit_log import AuditLog
from pytest_seccomp.linux.seccomp_record import SeccompRecord
from pytest_seccomp.recorder import kernel_log
from pytest_seccomp.recorder.kernel_log import AUDIT, SeccompLog, open_log

ACTIONS = ("log", "errno")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[SeccompLog]:
    monkeypatch.setattr(kernel_log, "AuditLog", lambda: AuditLog(logged.ROOM))
    opened = open_log(AUDIT, ACTIONS)
    yield opened
    opened.close()


def sentinel(log: SeccompLog, keep: Callable[[SeccompRecord], object] = lambda record: None) -> int:
    """The serial of a call that is made now. One that is lost is made again."""
    poll = select.poll()
    poll.register(log.descriptor, select.POLLIN)
    numbers: set[int] = set()
    while True:
        while records := log.receive():
            for record in records:
                keep(record)
        numbers.add(logged.run().number)
        again = time.monotonic() + 2
        while (left := again - time.monotonic()) > 0 and poll.poll(1000 * left):  # others' come all the time, perhaps
            for record in log.receive():
                keep(record)
                if record.call.number in numbers:
                    return record.serial


@pytest.mark.needs("audit")
def test_the_real_channel_has_all_between_two_sentinels(log: SeccompLog) -> None:
    log.begin(sentinel(log))
    number = logged.new_number()
    children = [logged.start(number=number, calls=300)[0] for _ in range(2)]
    assert [child.wait(60) for child in children] == [0, 0]
    counted: list[SeccompRecord] = []
    last = sentinel(log, counted.append)
    until("nothing missing", lambda: (log.receive(), log.missing(last))[1] == 0)
    assert sum(record.call.number == number for record in counted) == 600
    assert (log.losses(last), log.conditions(), log.lost) == ([], [], 0)


@pytest.mark.needs("audit")
def test_the_real_channel_knows_what_it_has_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_log, "AuditLog", lambda: AuditLog(buffer_bytes=1))
    log = open_log(AUDIT, ACTIONS)
    log.begin(sentinel(log))
    logged.run(calls=300)
    last = sentinel(log)
    (reason,) = log.losses(last)
    assert reason.endswith("audit records were lost: they came faster than they were read")
    assert log.lost > 250
    log.close()


@pytest.mark.needs("audit")
@pytest.mark.parametrize(("action", "refused"), [("RET_LOG", True), ("RET_ALLOW", False)])
def test_who_is_logged_itself_is_refused(action: str, refused: bool) -> None:
    """Under any other filter nothing is wrong."""
    program = """
        import sys
        from pytest_seccomp.errors import BackendError
        from pytest_seccomp.linux import seccomp
        from pytest_seccomp.recorder.kernel_log import open_log
        seccomp.install(seccomp.verdict(getattr(seccomp, sys.argv[1])))
        log = open_log("audit", ["log"])
        try:
            log.refuse_own_records()
        except BackendError as error:
            print("--no-seccomp-trace" in str(error))
    """
    assert output(program, action) == ("True\n" if refused else "")


@pytest.mark.needs("root")
def test_without_privilege_the_capability_is_named() -> None:
    program = """
        import os
        from pytest_seccomp.errors import BackendError
        from pytest_seccomp.recorder.kernel_log import open_log
        os.setresuid(65534, 65534, 65534)
        before = os.listdir("/proc/self/fd")
        for source in ("audit", "kmsg"):
            try:
                open_log(source, ["log"])
                print(source, "opened")
            except BackendError as error:
                print(source, [name for name in ("CAP_AUDIT_READ", "CAP_SYSLOG") if name in str(error)])
        print(os.listdir("/proc/self/fd") == before)
    """
    with open("/proc/sys/kernel/dmesg_restrict", "rb") as file:
        restricted = file.read().strip() == b"1"
    kmsg_says = "['CAP_SYSLOG']" if restricted else "opened"
    if not os.path.exists("/dev/kmsg"):  # as in a container
        kmsg_says = "[]"
    assert output(program).splitlines() == ["audit ['CAP_AUDIT_READ']", f"kmsg {kmsg_says}", str(restricted)]
