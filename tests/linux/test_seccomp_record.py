"""Audit records of type SECCOMP: what is read from the kernel's text, and what is not taken for a record."""

import re
from typing import Any

import printed
import pytest
import traces  # noqa: F401  # its profile for Hypothesis
from hypothesis import given
from hypothesis import strategies as st

from pytest_seccomp.linux import seccomp_record
from pytest_seccomp.linux.seccomp_record import (
    ACTIONS,
    LINE_START,
    LOG,
    NO_ID,
    SeccompRecord,
    actions_logged,
    parse,
    parse_line,
    serial_of,
)

# As Linux 6.18 sent it, but for the names
REAL = (
    b"audit(1795473200.693:14): auid=4294967295 uid=0 gid=0 ses=4294967295 pid=638 "
    b'comm="python" exe="/usr/bin/python3.13" sig=0 arch=c000003e syscall=110 compat=0 ip=0x7f61e04f34f7 '
    b"code=0x7ffc0000"
)
SYSCALL = (
    b"audit(1795473200.693:14): arch=c000003e syscall=110 success=yes exit=637 a0=0 a1=0 a2=0 a3=0 items=0 ppid=42 "
    b"pid=638 auid=4294967295 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=4294967295 "
    b'comm="python" exe="/usr/bin/python3.13" key=(null)'
)

DECIMAL, HEXADECIMAL = rb"(0|[1-9][0-9]*)", rb"(0|[1-9a-f][0-9a-f]*)"
STRING = rb'("[!#-~]*"|([0-9A-F]{2})+)'
GRAMMAR = re.compile(
    rb"audit\(%(d)b\.[0-9]{3}:%(d)b\): auid=%(d)b uid=%(d)b gid=%(d)b ses=%(d)b( subj=.*)? pid=%(d)b comm=%(s)b "
    rb"exe=(%(s)b|\(null\)) sig=%(d)b arch=%(x)b syscall=-?%(d)b compat=[01] ip=0x%(x)b code=0x%(x)b"
    % {b"d": DECIMAL, b"x": HEXADECIMAL, b"s": STRING},
    re.DOTALL,
)

u32 = st.integers(0, 2**32 - 1)
names = st.binary(max_size=24).filter(lambda name: b"\0" not in name)
fields = st.fixed_dictionaries(
    {
        "time_ms": st.integers(0, 1000 * 2**64 - 1),
        "serial": u32,
        "auid": u32,
        "uid": u32,
        "gid": u32,
        "session": u32,
        "subject": st.none() | st.binary(max_size=40) | st.just(b"unconfined_u:unconfined_r:unconfined_t:s0"),
        "pid": st.integers(0, 2**31 - 1),
        "comm": names,
        "exe": st.none() | names,
        "signal": st.integers(0, 127),
        "audit_arch": st.integers(1, 2**32 - 1),
        "number": st.integers(-(2**31), 2**31 - 1),
        "compat": st.booleans(),
        "address": st.integers(0, 2**64 - 1),
        "action": st.sampled_from(sorted(ACTIONS)),
    }
)


def fields_of(record: SeccompRecord) -> dict[str, Any]:
    """By the names that `printed.record` has for them."""
    process = ("auid", "uid", "gid", "session", "subject", "pid", "comm", "exe")
    call = ("signal", "audit_arch", "number", "compat", "action")
    return {
        "time_ms": record.time_ms,
        "serial": record.serial,
        "address": record.address,
        **{name: getattr(record.process, name) for name in process},
        **{name: getattr(record.call, name) for name in call},
    }


def read(text: bytes) -> SeccompRecord:
    record = parse(text)
    assert record is not None
    return record


def test_a_real_record() -> None:
    assert fields_of(read(REAL)) == {
        "time_ms": 1795473200693,
        "serial": 14,
        "auid": NO_ID,
        "uid": 0,
        "gid": 0,
        "session": NO_ID,
        "subject": None,
        "pid": 638,
        "comm": b"python",
        "exe": b"/usr/bin/python3.13",
        "signal": 0,
        "audit_arch": 0xC000003E,
        "number": 110,
        "compat": False,
        "address": 0x7F61E04F34F7,
        "action": LOG,
    }


def test_a_real_line_of_the_kernels_log() -> None:
    assert parse_line(b"audit: type=1326 " + REAL) == read(REAL)


@given(fields)
def test_every_field_is_read_as_it_was_printed(values: dict[str, Any]) -> None:
    assert fields_of(read(printed.record(**values))) == values
    assert fields_of(read(printed.record(**values))) == values, "the second time it is remembered"


@given(fields, st.data())
def test_a_record_that_was_cut_is_none(values: dict[str, Any], data: st.DataObject) -> None:
    text = printed.record(**{**values, "subject": None})
    assert parse(text[: data.draw(st.integers(0, len(text) - 1))]) is None
    assert parse(text[data.draw(st.integers(1, len(text))) :]) is None


def test_a_record_that_was_cut_anywhere_is_none() -> None:
    for action in ACTIONS:
        for signal in (0, 31):
            text = printed.record(action=action, signal=signal)
            assert [end for end in range(len(text)) if parse(text[:end]) is not None] == []


@given(fields, st.integers(0), st.binary(min_size=1, max_size=4), st.integers(0, 3))
def test_what_is_taken_for_a_record_is_what_the_kernel_prints(
    values: dict[str, Any], position: int, change: bytes, replaced: int
) -> None:
    """Whatever is changed in a text: it is read as what it then says, or not at all."""
    text = printed.record(**values)
    position %= len(text)
    changed = text[:position] + change + text[position + replaced :]
    record = parse(changed)
    assert record is None or (printed.record(**fields_of(record)) == changed and GRAMMAR.fullmatch(changed))


@given(st.binary() | st.text(alphabet=' =0123456789abcdefxADE():."', max_size=60).map(str.encode))
def test_other_text_is_none(text: bytes) -> None:
    assert parse(text) is None
    assert parse_line(text) is None
    assert parse_line(LINE_START + text) is None
    assert serial_of(text) is None or text.startswith(b"audit(")


@pytest.mark.parametrize("pid", [4, 42, 421, 2**22])
def test_the_pid_is_the_whole_number(pid: int) -> None:
    assert read(printed.record(pid=pid)).process.pid == pid


@pytest.mark.parametrize(
    "wrong",
    [
        REAL.replace(b" pid=", b" ppid="),
        REAL.replace(b" pid=638", b" ppid=638 pid=42"),
        REAL.replace(b" pid=638", b" pid=638 pid=42"),
        REAL.replace(b"uid=0 ", b"uid=0 uid=0 ", 1),
        REAL.replace(b" sig=0", b" sig=0 sig=0"),
        REAL + b" code=0x50000",
        REAL.replace(b" ses=4294967295", b""),
        REAL.replace(b'"python"', b'"py thon"'),
        REAL.replace(b'"python"', b'"py"thon"'),
        REAL.replace(b'"python"', b'"python'),
        REAL.replace(b'"python"', b'"'),
        REAL.replace(b'"python"', b'"py\xff"'),
        REAL.replace(b'"python"', b"python"),
        REAL.replace(b'"python"', b""),
        REAL.replace(b'"python"', b"(null)"),
        REAL.replace(b'"python"', b"707974686F6E"),  # which the kernel prints as it is
        REAL.replace(b'"python"', b"2070797"),
        REAL.replace(b'"python"', b"2070797f"),
        REAL.replace(b'"python"', b"207000"),
        REAL.replace(b"pid=638", b"pid=0638"),
        REAL.replace(b"pid=638", b"pid=+638"),
        REAL.replace(b"pid=638", b"pid=6_38"),
        REAL.replace(b"pid=638", b"pid=-638"),
        REAL.replace(b"pid=638", b"pid=2147483648"),
        REAL.replace(b"pid=638", b"pid=" + 5000 * b"9"),
        REAL.replace(b"uid=0", b"uid=4294967296", 1),
        REAL.replace(b":14)", b":4294967296)"),
        REAL.replace(b":14)", b":14 )"),
        REAL.replace(b".693", b".69"),
        REAL.replace(b".693", b".0693"),
        REAL.replace(b"(1795473200", b"(-1795473200"),
        REAL.replace(b"(1795473200", b"(%d" % 2**64),
        REAL.replace(b"c000003e", b"C000003E"),
        REAL.replace(b"c000003e", b"0xc000003e"),
        REAL.replace(b"c000003e", b"1c000003e"),
        REAL.replace(b"=110", b"=2147483648"),
        REAL.replace(b"compat=0", b"compat=2"),
        REAL.replace(b"ip=0x", b"ip="),
        REAL.replace(b"ip=0x7", b"ip=0x07"),
        REAL.replace(b"ip=0x7", b"ip=0x100000"),
        REAL.replace(b"ip=0x7", b"ip=0x-7"),
        REAL.replace(b"arch=c", b"arch=-c"),
        REAL.replace(b"sig=0", b"sig=-1"),
        REAL.replace(b"code=0x7", b"code=0x-7"),
        REAL.replace(b"0x7ffc0000", b"0x7ffc0001"),
        REAL.replace(b"0x7ffc0000", b"0x7fff0000"),  # ALLOW
        REAL.replace(b"0x7ffc0000", b"0x12340000"),  # would have killed
        REAL + b"\n",
        REAL + b"\0",
        b" " + REAL,
        b"type=1326 " + REAL,
        SYSCALL,
    ],
)
def test_what_the_kernel_does_not_print_is_none(wrong: bytes) -> None:
    assert wrong != REAL
    assert parse(wrong) is None


@pytest.mark.parametrize("forged", [b'a" pid=1 ', b" sig=0", b"x\n", b"\\", b"a=b", b"", b"15 bytes of text"])
def test_a_name_that_looks_like_fields_is_a_name(forged: bytes) -> None:
    process = read(printed.record(pid=42, comm=forged, exe=b"/tmp/" + forged)).process
    assert (process.pid, process.comm, process.exe) == (42, forged, b"/tmp/" + forged)


def test_a_label_that_looks_like_fields_is_a_label() -> None:
    label = REAL.partition(b" pid=")[2] + b" pid=1 (enforce)"
    process = read(printed.record(pid=42, subject=label)).process
    assert (process.pid, process.subject) == (42, label)


@pytest.mark.parametrize(
    "line",
    [
        REAL,
        b"audit: type=1300 " + SYSCALL,
        b"audit: type=1300 " + REAL,
        b"audit: type=13260 " + REAL,
        b"python[638]: audit: type=1326 " + REAL,
        b"audit: type=1326  " + REAL,
        b"kauditd_printk_skb: 90 callbacks suppressed",
    ],
)
def test_other_lines_are_none(line: bytes) -> None:
    assert parse_line(line) is None


@pytest.mark.parametrize(
    ("action", "name", "denied"),
    [
        (0x80000000, "kill_process", True),
        (0, "kill_thread", True),
        (0x30000, "trap", True),
        (0x50000, "errno", True),
        (0x7FC00000, "user_notif", True),
        (0x7FF00000, "trace", True),
        (0x7FFC0000, "log", False),
        (0x12340000, "0x12340000", True),
    ],
)
def test_the_action_says_whether_it_was_denied(action: int, name: str, denied: bool) -> None:
    call = read(printed.record(action=action, signal=31)).call
    assert (call.action, call.action_name, call.denied) == (action, name, denied)


@pytest.mark.parametrize(
    ("number", "key"), [(41, 0xC000003E_00000029), (-1, 0xC000003E_FFFFFFFF), (0x40000000, 0xC000003E_40000000)]
)
def test_the_key_of_a_call(number: int, key: int) -> None:
    assert read(printed.record(number=number)).call.key == key


def test_records_cannot_be_changed() -> None:
    record = read(REAL)
    for part, name in ((record, "serial"), (record.process, "pid"), (record.call, "action"), (record, "new")):
        with pytest.raises(AttributeError):
            setattr(part, name, 1)


@pytest.mark.parametrize(
    ("text", "serial"),
    [
        (REAL, 14),
        (SYSCALL, 14),
        (b"audit(1795473200.693:0): ", 0),
        (b"audit(1795473200.693:4294967295): x", 4294967295),
        (b"audit(1795473200.693:4294967296): x", None),
        (b"audit(1795473200.693:14)", None),
        (b"audit(1795473200.693:): x", None),
        (b"audit: backlog limit exceeded", None),
        (b"", None),
    ],
)
def test_the_serial_of_a_record_of_any_type(text: bytes, serial: int | None) -> None:
    assert serial_of(text) == serial


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp_record, "_REMEMBERED", 3)
    asked = []

    @seccomp_record._remembered
    def length(text: bytes) -> int:
        asked.append(text)
        if not text:
            raise ValueError
        return len(text)

    for number in (1, 2, 3, 3, 1, 4, 1):
        assert length(b"x" * number) == number
    assert [len(text) for text in asked] == [1, 2, 3, 4, 1], "the fourth made it forget the others"
    for _ in range(2):
        with pytest.raises(ValueError):  # noqa: PT011  # it has no message
            length(b"")
    assert len(asked) == 7, "errors are not remembered"


def test_the_actions_that_this_machine_logs() -> None:
    assert actions_logged() <= {*ACTIONS.values()}
