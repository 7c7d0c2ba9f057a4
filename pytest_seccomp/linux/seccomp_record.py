"""Audit records of type SECCOMP, as the kernel prints them: which process made which call, and what its filter said.

A record is input from outside: a program chooses its name and its path. So nothing is searched for in the text, every
field has its place, and a text is a record only if printing what was read, as the kernel prints it, gives it back.

The recorder imports this file: no re, enum, functools or typing, which cost it more than reading thousands of records.
Sources: kernel/seccomp.c (seccomp_log), kernel/auditsc.c (audit_log_task, audit_seccomp), kernel/audit.c
(audit_log_start, audit_log_n_untrustedstring, audit_log_d_path_exe, kauditd_printk_skb).
"""

from __future__ import annotations

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Part = TypeVar("Part")

RECORD_TYPE = 1326
"""AUDIT_SECCOMP: the type of the netlink messages with these records."""

LINE_START = b"audit: type=1326 "
"""How such a record begins as a line of the kernel's log."""

NO_ID = 0xFFFFFFFF
"""`auid` and `session` of a process that has none."""

LOG = 0x7FFC0000
ACTIONS = {
    0x80000000: "kill_process",
    0: "kill_thread",
    0x00030000: "trap",
    0x00050000: "errno",
    0x7FC00000: "user_notif",
    0x7FF00000: "trace",
    LOG: "log",
}
"""The actions that are logged, SECCOMP_RET_*, with the names of /proc/sys/kernel/seccomp/actions_logged. The kernel
never logs ALLOW, and leaves the action's data, such as an errno, out of the record."""

_PRINTABLE = bytes(range(0x21, 0x7F)).replace(b'"', b"")
_HEX_DIGITS = b"0123456789ABCDEF"
_REMEMBERED = 2048


class Process(tuple[int, int, int, int, bytes | None, int, bytes, bytes | None]):
    """Who made a call. Ids are those of the initial namespaces. Immutable."""

    __slots__ = ()

    @property
    def auid(self) -> int:
        """The login user id, NO_ID where none was set."""
        return self[0]

    @property
    def uid(self) -> int:
        """The real user id."""
        return self[1]

    @property
    def gid(self) -> int:
        """The real group id."""
        return self[2]

    @property
    def session(self) -> int:
        """The audit session id, NO_ID where there is none; a process inherits it."""
        return self[3]

    @property
    def subject(self) -> bytes | None:
        """The label of the security module, any bytes; None where the kernel prints none."""
        return self[4]

    @property
    def pid(self) -> int:
        """The process, not the thread."""
        return self[5]

    @property
    def comm(self) -> bytes:
        """The name of the thread, which is what it wants it to be."""
        return self[6]

    @property
    def exe(self) -> bytes | None:
        """The path of the executable, with " (deleted)" where that applies; None where the process has none any more,
        `<no_memory>` and `<too_long>` where the kernel could not say."""
        return self[7]


class Call(tuple[int, int, int, bool, int]):
    """What was called, and the filter's answer. Immutable."""

    __slots__ = ()

    @property
    def signal(self) -> int:
        """The signal that a kill sends, 0 where the filter did not kill."""
        return self[0]

    @property
    def audit_arch(self) -> int:
        """AUDIT_ARCH_*"""
        return self[1]

    @property
    def number(self) -> int:
        """The system call's number, signed, with the bit 0x40000000 on x32."""
        return self[2]

    @property
    def compat(self) -> bool:
        """Whether a 32-bit call came to a 64-bit kernel."""
        return self[3]

    @property
    def action(self) -> int:
        """SECCOMP_RET_* without data: one of ACTIONS, or one that the kernel does not know, for which it kills."""
        return self[4]

    @property
    def action_name(self) -> str:
        """Its name in ACTIONS, "0x%08x" of one that has none."""
        return ACTIONS.get(self[4]) or f"0x{self[4]:08x}"

    @property
    def denied(self) -> bool:
        """Whether the kernel did not make the call. Of `user_notif` and `trace` a record exists only in this case, but
        the supervisor may have done in its place what was asked for."""
        return self[4] != LOG

    @property
    def key(self) -> int:
        """AUDIT_ARCH_* in the high 32 bits, the number in the low ones."""
        return self[1] << 32 | self[2] & 0xFFFFFFFF


class SeccompRecord(tuple[int, int, Process, Call, int]):
    """One record. Immutable."""

    __slots__ = ()

    @property
    def time_ms(self) -> int:
        """When, in milliseconds since the epoch, by the kernel's coarse clock."""
        return self[0]

    @property
    def serial(self) -> int:
        """The number of the event, 32 bits, one more for each event of whatever type."""
        return self[1]

    @property
    def process(self) -> Process:
        """Who."""
        return self[2]

    @property
    def call(self) -> Call:
        """What."""
        return self[3]

    @property
    def address(self) -> int:
        """The instruction pointer."""
        return self[4]


def parse(text: bytes) -> SeccompRecord | None:
    """Read the text of a netlink message of type RECORD_TYPE. None for any other text, one that was cut included."""
    stamp, _, rest = text.partition(b"): ")
    time, _, serial = stamp.rpartition(b":")
    process, _, rest = rest.rpartition(b" sig=")
    call, _, rest = rest.partition(b" ip=0x")
    address, _, code = rest.partition(b" code=0x")
    try:
        return SeccompRecord(
            (_time_ms(time), _decimal(serial), _process(process), _call(call + b" code=" + code), _hexadecimal(address))
        )
    except ValueError:
        return None


def parse_line(line: bytes) -> SeccompRecord | None:
    """Read a line of the kernel's log, without its prefix and end. None for any other line, and for a record that is
    cut, as the kernel does at 1 KiB: `line.startswith(LINE_START)` tells them apart."""
    return parse(line[len(LINE_START) :]) if line.startswith(LINE_START) else None


def serial_of(text: bytes) -> int | None:
    """The serial of an audit record of any type, from the beginning of its text; None where there is none."""
    stamp, end, _ = text.partition(b"): ")
    time, _, serial = stamp.rpartition(b":")
    try:
        _time_ms(time)
        return _decimal(serial) if end else None
    except ValueError:
        return None


def actions_logged() -> frozenset[str]:
    """The names of the actions that this machine logs, a sysctl (seccomp(2)). Raises OSError where there is none."""
    with open("/proc/sys/kernel/seccomp/actions_logged", "rb") as file:  # no codec, which would be imported
        return frozenset(file.read().decode().split())


def _remembered(read: Callable[[bytes], Part]) -> Callable[[bytes], Part]:
    """Keep what was read, for the parts of records are alike: a process makes many calls, and in a millisecond many are
    made. Not without end, because hostile programs can make each one new. (functools.lru_cache would cost the recorder
    5 ms at its start.)"""
    known: dict[bytes, Part] = {}

    def remember(text: bytes) -> Part:
        try:
            return known[text]
        except KeyError:
            value = read(text)
            if len(known) >= _REMEMBERED:
                known.clear()
            known[text] = value
            return value

    return remember


@_remembered
def _time_ms(text: bytes) -> int:
    seconds, _, milliseconds = text.removeprefix(b"audit(").partition(b".")
    time_ms = int(seconds) * 1000 + int(milliseconds)
    if not 0 <= time_ms < 1000 * 2**64:
        raise ValueError
    _same(b"audit(%d.%03d" % divmod(time_ms, 1000), text)
    return time_ms


@_remembered
def _process(text: bytes) -> Process:
    # From the right: neither name nor path can hold a space, the label before them can hold anything
    front, _, exe = text.rpartition(b" exe=")
    front, _, comm = front.rpartition(b" comm=")
    ids, _, pid = front.rpartition(b" pid=")
    return Process((*_ids(ids), _decimal(pid, 0x7FFFFFFF), _string(comm), None if exe == b"(null)" else _string(exe)))


@_remembered
def _ids(text: bytes) -> tuple[int, int, int, int, bytes | None]:
    numbers, labelled, subject = text.partition(b" subj=")
    auid, uid, gid, session = [_decimal(field.partition(b"=")[2]) for field in numbers.split(b" ")]
    _same(b"auid=%d uid=%d gid=%d ses=%d" % (auid, uid, gid, session), numbers)
    return auid, uid, gid, session, subject if labelled else None


@_remembered
def _string(text: bytes) -> bytes:
    """What a program has chosen: in quotes, or in hexadecimal where it holds what could be taken for more."""
    if text[:1] == b'"':
        string = text[1:-1]
        if text[-1:] != b'"' or len(text) < 2 or string.translate(None, _PRINTABLE):
            raise ValueError
        return string
    if text.translate(None, _HEX_DIGITS):
        raise ValueError
    string = bytes.fromhex(text.decode("ascii"))
    if not string.translate(None, _PRINTABLE) or b"\0" in string:
        raise ValueError
    return string


@_remembered
def _call(text: bytes) -> Call:
    signal, arch, number, compat, code = [field.rpartition(b"=")[2] for field in text.split(b" ")]
    call = Call((int(signal), int(arch, 16), int(number), compat == b"1", int(code, 16)))
    _same(b"%d arch=%x syscall=%d compat=%d code=%x" % call, text)
    if not (
        0 <= call.signal < 128
        and 0 < call.audit_arch < 2**32
        and -(2**31) <= call.number < 2**31
        # An unknown action kills. With fewer digits than eight it may as well be the beginning of a known one
        and (call.action in ACTIONS or (call.signal and 2**28 <= call.action < 2**32 and not call.action & 0xFFFF))
    ):
        raise ValueError
    return call


def _decimal(text: bytes, most: int = 0xFFFFFFFF) -> int:
    number = int(text)
    if number > most or not text.isdigit() or (len(text) > 1 and text[0] == 0x30):
        raise ValueError
    return number


def _hexadecimal(text: bytes) -> int:
    number = int(text, 16)
    digits = text.isalnum() and (text.islower() or text.isdigit())
    if number >= 2**64 or not digits or (text[0] == 0x30 and len(text) > 1):
        raise ValueError
    return number


def _same(printed: bytes, text: bytes) -> None:
    if printed != text:
        raise ValueError
