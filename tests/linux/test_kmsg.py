"""The kernel's log: what a reader takes from it, from sockets that give what the device gives, and from the device."""

import errno
import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import logged
import printed
import pytest
from running import until

from pytest_seccomp.linux import kmsg
from pytest_seccomp.linux.kmsg import KernelLog, open_at_end
from pytest_seccomp.linux.seccomp_record import LINE_START, parse_line


class Device:
    """Gives one entry for each read, as the log does; `log` reads it."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        theirs.setblocking(False)
        self.log = KernelLog(theirs.detach())

    def give(self, *entries: bytes) -> None:
        for entry in entries:
            self._ours.send(entry)

    def close(self) -> None:
        self._ours.close()
        self.log.close()


@pytest.fixture
def device() -> Iterator[Device]:
    made = Device()
    yield made
    made.close()


@pytest.fixture
def log() -> Iterator[KernelLog]:
    """A reader of the real one."""
    reader = open_at_end()
    yield reader
    reader.close()


def write(line: str) -> None:
    """Write to the log, as a user may who is root."""
    with open("/dev/kmsg", "wb", buffering=0) as file:
        file.write(line.encode())


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (b"5,358,14655272443,-;audit: type=1326 audit(1.000:1): x\n", b"audit: type=1326 audit(1.000:1): x"),
        (b"5,358,14655272443,-,caller=T638;a; b, c\n", b"a; b, c"),
        (b"6,339,5140900,-;NET: Registered\n SUBSYSTEM=net\n DEVICE=+net:lo\n", b"NET: Registered"),
        (b"4,1,1,c;part", b"part"),
        (b"7,1,1,-;\n", b""),
        (rb"5,1,1,-;comm=\"a\x5cx5cb\"" + b"\n", rb"comm=\"a\x5cb\"".replace(b'\\"', b'"')),
        (rb"5,1,1,-;\x0a\xff\x5c" + b"\n", b"\n\xff\\"),
        (rb"5,1,1,-;cut here: \x5", rb"cut here: \x5"),
        (rb"5,1,1,-;cut here: \x", rb"cut here: \x"),
    ],
)
def test_a_line_is_as_the_kernel_printed_it(device: Device, entry: bytes, line: bytes) -> None:
    device.give(entry.replace(b'\\"', b'"'))
    assert device.log.receive() == [line]


def test_a_record_survives_the_log(device: Device) -> None:
    record = printed.record(comm=b"a\\x5cb", exe=b"/tmp/\\", subject=b"\xffl\\abel")
    escaped = b"".join(b"%c" % byte if 32 <= byte < 127 and byte != 92 else b"\\x%02x" % byte for byte in record)
    device.give(b"5,1,1,-;" + LINE_START + escaped + b"\n")
    (line,) = device.log.receive()
    found = parse_line(line)
    assert found is not None
    assert (found.process.comm, found.process.exe, found.process.subject) == (b"a\\x5cb", b"/tmp/\\", b"\xffl\\abel")


@pytest.mark.parametrize("priority", [8, 12, 13, 30, 8 * 23 + 5])
def test_lines_of_others_are_left_out(device: Device, priority: int) -> None:
    device.give(b"%d,7,1,-;%b%b\n" % (priority, LINE_START, printed.record()), b"5,8,1,-;ours\n")
    assert device.log.receive() == [b"ours"]
    assert device.log.missing == 0


def test_nothing_left(device: Device) -> None:
    assert device.log.receive() == []
    device.give(b"5,1,1,-;one\n")
    assert device.log.receive() == [b"one"]
    assert device.log.receive() == []


def test_an_empty_batch_means_that_nothing_is_left(device: Device) -> None:
    """However many lines of others came before."""
    device.give(*[b"13,%d,1,-;theirs\n" % number for number in range(5)], b"5,5,1,-;ours\n")
    assert device.log.receive(1) == [b"ours"]


def test_batches_have_a_limit(device: Device) -> None:
    device.give(*[b"5,%d,1,-;%d\n" % (number, number) for number in range(5)])
    assert [len(batch) for batch in iter(lambda: device.log.receive(2), [])] == [2, 2, 1]


def test_numbers_that_are_left_out_are_lines_that_are_missing(device: Device) -> None:
    device.give(b"5,100,1,-;first\n", b"13,101,1,-;theirs\n", b"5,105,1,-;after three\n", b"5,107,1,-;after one\n")
    device.log.receive()
    assert device.log.missing == 4
    device.give(b"5,110,1,-;after two\n")
    device.log.receive()
    assert (device.log.missing, device.log.overruns) == (6, 0)


def test_lines_that_were_overwritten(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """EPIPE, once, and then the oldest line that is left."""
    answers: list[bytes | OSError] = [
        BrokenPipeError(errno.EPIPE, ""),
        b"5,100,1,-;first\n",
        BrokenPipeError(errno.EPIPE, ""),
        b"5,150,1,-;next\n",
        BlockingIOError(errno.EAGAIN, ""),
    ]

    def read(descriptor: int, length: int) -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(kmsg, "os", SimpleNamespace(read=read))
    assert device.log.receive() == [b"first", b"next"]
    assert (device.log.overruns, device.log.missing) == (2, 49)
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("line", "suppressed"),
    [
        (b"kauditd_printk_skb: 90 callbacks suppressed", 90),
        (b"kauditd_printk_skb: 1234567 callbacks suppressed", 1234567),
        (b"net_ratelimit: 90 callbacks suppressed", 0),
        (b"kauditd_printk_skb: many callbacks suppressed", 0),
        (b"kauditd_printk_skb:  callbacks suppressed", 0),
        (b"x kauditd_printk_skb: 90 callbacks suppressed", 0),
        (b"kauditd_printk_skb: 90 callbacks suppressed by nobody", 0),
    ],
)
def test_records_that_were_not_printed(device: Device, line: bytes, suppressed: int) -> None:
    device.give(b"4,1,1,-;" + line + b"\n", b"12,2,1,-;kauditd_printk_skb: 5 callbacks suppressed\n")
    assert device.log.receive() == [line]
    assert device.log.suppressed == suppressed


@pytest.mark.parametrize("kind", ["file", "pipe", "folder", "another device"])
def test_something_else_in_its_place(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "kmsg"
    match kind:
        case "file":
            path.write_text("5,1,1,-;forged\n")
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case _:
            path = Path("/dev/null")
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="is not the character device 1:11") as caught:
        open_at_end(str(path))
    assert (caught.value.errno, caught.value.filename) == (errno.ENODEV, str(path))
    assert len(os.listdir("/proc/self/fd")) == len(before)


@pytest.mark.parametrize("target", ["/dev/kmsg", "/dev/null", "nowhere"])
def test_a_link_in_its_place(tmp_path: Path, target: str) -> None:
    path = tmp_path / "kmsg"
    path.symlink_to(target)
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        open_at_end(str(path))


def test_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_at_end(str(tmp_path / "kmsg"))


@pytest.mark.needs("kmsg")
def test_what_was_there_before_is_not_read(log: KernelLog) -> None:
    """Where the kernel prints something just then, it is not the first line of all."""
    assert not any(b"Linux version" in line for line in log.receive())


@pytest.mark.needs("kmsg")
def test_a_forged_line_is_not_the_kernels(log: KernelLog) -> None:
    """Whatever priority it asks for."""
    with open("/dev/kmsg", "rb", buffering=0) as everything:
        os.set_blocking(everything.fileno(), False)
        everything.seek(0, os.SEEK_END)
        token = uuid.uuid4().hex
        for prefix in ("", "<0>", "<5>"):
            write(f"{prefix}{LINE_START.decode()}audit(1.000:1): {token}\n")
        seen = []

        def all_seen() -> bool:
            """One of another processor that is not printed to its end stands before them."""
            while entry := everything.read(16384):
                seen.append(token.encode() in entry)
            return sum(seen) == 3

        until("three lines to be read", all_seen)
    while lines := log.receive():
        assert not any(token.encode() in line for line in lines)
    assert log.missing == 0


@pytest.mark.needs("kmsg", "audit")
def test_a_record_of_the_kernel(log: KernelLog) -> None:
    """Ten in five seconds are printed, of everybody's."""
    number = logged.new_number()

    def printed_records() -> list[tuple[bytes, str, bool]]:
        logged.run(logged.ERRNO, number=number, name="a\\x5cb")
        found = [parse_line(line) for line in log.receive()]
        ours = [record for record in found if record is not None and record.call.number == number]
        return [(record.process.comm, record.call.action_name, record.call.denied) for record in ours]

    assert until("a record of ours", printed_records)[0] == (b"a\\x5cb", "errno", True)
    assert (log.missing, log.overruns) == (0, 0)


@pytest.mark.needs("kmsg", "audit")
def test_a_long_record_is_cut_and_is_none(log: KernelLog, tmp_path: Path) -> None:
    program = tmp_path.joinpath(*[letter + 110 * " x" for letter in "abcd"], "true")
    program.parent.mkdir(parents=True)
    true = shutil.which("true")
    assert true is not None
    shutil.copy(true, program)
    start = os.fsencode(tmp_path).hex().upper().encode()

    def cut_lines() -> list[bytes]:
        logged.run(logged.LOG, number=logged.EXIT_GROUP[os.uname().machine], executable=program)
        return [line for line in log.receive() if start in line]

    for line in until("a record of ours", cut_lines):
        assert line.startswith(LINE_START)
        assert b" code=" not in line
        assert parse_line(line) is None
