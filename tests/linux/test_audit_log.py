"""The kernel's audit messages, from the kernel: records of children whose filters log, deny and kill."""

import os
import select
import shutil
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import logged
import printed
import pytest
from child import output
from running import until

from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.audit_log import AuditLog, Message
from pytest_seccomp.linux.audit_serials import Serials
from pytest_seccomp.linux.seccomp_record import RECORD_TYPE, SeccompRecord

NAME = os.fsencode(Path(sys.executable).name)[:15]
EXE = os.fsencode(Path(sys.executable).resolve())


@pytest.fixture
def log() -> Iterator[AuditLog]:
    reader = AuditLog(logged.ROOM)
    yield reader
    reader.close()


def receive_until_now(log: AuditLog) -> tuple[list[Message], SeccompRecord]:
    """All messages up to the record of a call that is made now, and that record. One that is lost is made again."""
    messages: list[Message] = []
    poll = select.poll()
    poll.register(log.descriptor, select.POLLIN)
    numbers: set[int] = set()
    while True:
        while batch := log.receive():
            messages += batch
        numbers.add(logged.run().number)
        again = time.monotonic() + 2
        while (left := again - time.monotonic()) > 0 and poll.poll(1000 * left):  # others' come all the time, perhaps
            messages += (batch := log.receive())
            for message in batch:
                if message.record is not None and message.record.call.number in numbers:
                    return messages, message.record


def add_all(serials: Serials, messages: list[Message]) -> None:
    for message in messages:
        if message.serial is not None:
            serials.add(message.serial)


def begin(log: AuditLog) -> Serials:
    """From the record of a call that is made now on; later ones may have come with it."""
    messages, first = receive_until_now(log)
    serials = Serials()
    add_all(serials, messages)
    serials.begin(first.serial)
    return serials


def records_of(log: AuditLog, number: int) -> list[SeccompRecord]:
    messages, _ = receive_until_now(log)
    assert not any(message.unreadable for message in messages)
    records = [message.record for message in messages if message.record is not None]
    return [record for record in records if record.call.number == number]


def test_a_message_with_a_record() -> None:
    message = Message(RECORD_TYPE, printed.record(serial=14, pid=42))
    assert message.record is not None
    assert (message.kind, message.serial, message.record.process.pid) == (RECORD_TYPE, 14, 42)
    assert not message.unreadable


@pytest.mark.parametrize("text", [printed.record(serial=14)[:-4], printed.record(serial=14) + b" more"])
def test_a_record_that_cannot_be_read(text: bytes) -> None:
    message = Message(RECORD_TYPE, text)
    assert (message.record, message.serial, message.unreadable) == (None, 14, True)


@pytest.mark.parametrize("kind", [1300, 1327, 1006, 2000])
def test_another_type_is_no_record_whatever_its_text(kind: int) -> None:
    message = Message(kind, printed.record(serial=14))
    assert (message.record, message.serial, message.unreadable) == (None, 14, False)


def test_a_message_that_is_no_event() -> None:
    message = Message(2, bytes(20))
    assert (message.record, message.serial, message.unreadable) == (None, None, False)


@pytest.mark.needs("audit")
def test_calls_that_pass_and_are_logged(log: AuditLog) -> None:
    child = logged.run(logged.LOG, calls=5)
    records = records_of(log, child.number)
    assert len(records) == 5
    assert len({record.serial for record in records}) == 5
    for record in records:
        process, call = record.process, record.call
        assert (process.pid, process.comm, process.exe) == (child.pid, NAME, EXE)
        assert (process.uid, process.gid) == (os.getuid(), os.getgid())
        assert process.auid == int(Path("/proc/self/loginuid").read_text())
        assert process.session == int(Path("/proc/self/sessionid").read_text())
        assert (call.audit_arch, call.number, call.compat) == (native().audit_arch, child.number, False)
        assert (call.action_name, call.signal, call.denied) == ("log", 0, False)
    assert child.status == 0


@pytest.mark.needs("audit")
@pytest.mark.parametrize(
    ("verdict", "name", "signal", "status"),
    [
        (logged.ERRNO | 13, "errno", 0, 0),
        (logged.TRAP, "trap", 0, -31),
        (logged.TRACE, "trace", 0, 0),
        (logged.USER_NOTIF, "user_notif", 0, 0),
        (logged.KILL_THREAD, "kill_thread", 31, -31),
        (logged.KILL_PROCESS, "kill_process", 31, -31),
        (0x12345678, "0x12340000", 31, -31),  # the kernel kills for what it does not know
    ],
)
def test_calls_that_are_denied(log: AuditLog, verdict: int, name: str, signal: int, status: int) -> None:
    child = logged.run(verdict)
    (record,) = records_of(log, child.number)
    assert (record.process.pid, child.status) == (child.pid, status)
    assert (record.call.action_name, record.call.signal, record.call.denied) == (name, signal, True)


@pytest.mark.needs("audit")
@pytest.mark.parametrize("verdict", [logged.ERRNO | 1, logged.TRACE, logged.USER_NOTIF])
def test_nothing_is_said_of_a_denial_by_a_filter_that_does_not_ask_for_it(log: AuditLog, verdict: int) -> None:
    assert records_of(log, logged.run(verdict, flags=0).number) == []


@pytest.mark.needs("audit")
@pytest.mark.parametrize("name", ['a" pid=1 ', "a\\x5cb", " sig=0 arch=0 x", "\x01\x7f\n", "fünf"])
def test_names_that_look_like_something_else(log: AuditLog, name: str) -> None:
    child = logged.run(logged.ERRNO, name=name)
    (record,) = records_of(log, child.number)
    assert (record.process.pid, record.process.comm) == (child.pid, os.fsencode(name))


@pytest.mark.needs("audit")
@pytest.mark.parametrize("folders", [["with a space"], [letter + 110 * " x" for letter in "abcdefghijklm"]])
def test_paths_of_any_length(log: AuditLog, tmp_path: Path, folders: list[str]) -> None:
    """The longest is 3 KiB, in hexadecimal 6."""
    program = tmp_path.joinpath(*folders, "true")
    program.parent.mkdir(parents=True)
    true = shutil.which("true")
    assert true is not None
    shutil.copy(true, program)
    number = logged.EXIT_GROUP[os.uname().machine]
    child = logged.run(logged.LOG, number=number, executable=program)
    records = [record for record in records_of(log, number) if record.process.pid == child.pid]
    assert [record.process.exe for record in records] == [os.fsencode(program)]
    assert child.status == 0


@pytest.mark.needs("audit")
def test_the_poll_tells_of_messages(log: AuditLog) -> None:
    poll = select.poll()
    poll.register(log.descriptor, select.POLLIN)
    logged.run()
    assert poll.poll(60_000) == [(log.descriptor, select.POLLIN)]


@pytest.mark.needs("audit")
def test_batches_have_a_limit_and_no_message_is_lost_between_them(log: AuditLog) -> None:
    child = logged.run(calls=7)
    receive_until_now(other := AuditLog())  # whose record comes after all of the child's
    other.close()
    records = []
    while batch := log.receive(3):
        assert len(batch) <= 3
        records += [m.record for m in batch if m.record is not None and m.record.call.number == child.number]
    assert len(records) == 7


@pytest.mark.needs("audit")
def test_four_processes_at_a_time_and_no_gap(log: AuditLog) -> None:
    serials = begin(log)
    number = logged.new_number()
    children = [logged.start(number=number, calls=500)[0] for _ in range(4)]
    assert [child.wait(60) for child in children] == [0] * 4
    messages, last = receive_until_now(log)
    add_all(serials, messages)
    calls = dict.fromkeys((child.pid for child in children), 0)
    for message in messages:
        if message.record is not None and message.record.call.number == number:
            calls[message.record.process.pid] += 1
    assert list(calls.values()) == [500] * 4

    def complete() -> bool:
        """Somebody else may have the number before our last one, and be on the way."""
        add_all(serials, log.receive())
        return serials.missing(last.serial) == 0

    until("no gap", complete)
    assert (log.overruns, log.dropped) == (0, 0)


@pytest.mark.needs("audit")
def test_a_reader_that_is_too_slow_knows_what_it_has_lost() -> None:
    with closing(AuditLog(buffer_bytes=1)) as log:  # the kernel makes it a few KiB
        serials = begin(log)
        overruns = log.overruns
        logged.run(calls=300)
        messages, last = receive_until_now(log)
        add_all(serials, messages)
        assert log.overruns > overruns
        assert serials.missing(last.serial) > 250

        def each_gap_is_a_drop() -> bool:
            add_all(serials, log.receive())
            return serials.missing(last.serial) <= log.dropped

        until("the account of every gap", each_gap_is_a_drop)


@pytest.mark.needs("audit")
def test_what_others_send_to_us_is_no_message(log: AuditLog) -> None:
    with socket.socket(fileno=os.dup(log.descriptor)) as same:
        port, _ = same.getsockname()
    text = printed.record(number=logged.new_number())
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9) as sender:
        sender.sendto(struct.pack("=IHHII", 16 + len(text), RECORD_TYPE, 0, 0, 0) + text, (port, 0))
    messages, _ = receive_until_now(log)
    assert text not in [message.text for message in messages]


@pytest.mark.needs("root")
def test_it_takes_a_capability_and_leaves_no_socket() -> None:
    program = """
        import os
        from pytest_seccomp.linux.audit_log import AuditLog
        os.setresuid(65534, 65534, 65534)
        before = os.listdir("/proc/self/fd")
        try:
            AuditLog()
        except PermissionError:
            print("no", os.listdir("/proc/self/fd") == before)
    """
    assert output(program) == "no True\n"
