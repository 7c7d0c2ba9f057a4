"""Fuzz the parser of audit records, coverage-guided: `make fuzz`, an hour with ARGS=-max_total_time=3600.

Two questions, asked of texts as the fuzzer makes them and of records that it has the kernel's printing make and then
changes: does the parser ever raise, and does it ever read something else than what stands there? The second is answered
by an oracle that shares no code and no method with the parser: one grammar, read from the left, and the ranges of the
kernel's types. What is found stands in a file named crash-*, which given as argument is run again.

The arguments are libFuzzer's (https://llvm.org/docs/LibFuzzer.html#options).
"""

import re
import sys
from collections.abc import Sequence

import atheris

with atheris.instrument_imports(include=["pytest_seccomp.linux.seccomp_record"]):
    from pytest_seccomp.linux.seccomp_record import LINE_START, SeccompRecord, parse, parse_line, serial_of

import printed  # of tests/support

NUMBER, HEXADECIMAL = rb"(?:0|[1-9][0-9]*)", rb"(?:0|[1-9a-f][0-9a-f]*)"
STRING = rb'"[!#-~]*"|(?:[0-9A-F]{2})+'
GRAMMAR = re.compile(
    rb"audit\((?P<seconds>%(d)b)\.(?P<milliseconds>[0-9]{3}):(?P<serial>%(d)b)\): "
    rb"auid=(?P<auid>%(d)b) uid=(?P<uid>%(d)b) gid=(?P<gid>%(d)b) ses=(?P<session>%(d)b)(?: subj=(?P<subject>.*))? "
    rb"pid=(?P<pid>%(d)b) comm=(?P<comm>%(s)b) exe=(?P<exe>%(s)b|\(null\)) "
    rb"sig=(?P<signal>%(d)b) arch=(?P<audit_arch>%(x)b) syscall=(?P<number>0|-?[1-9][0-9]*) compat=(?P<compat>[01]) "
    rb"ip=0x(?P<address>%(x)b) code=0x(?P<action>%(x)b)" % {b"d": NUMBER, b"x": HEXADECIMAL, b"s": STRING},
    re.DOTALL,
)
STAMP = re.compile(rb"audit\((%(d)b)\.([0-9]{3}):(%(d)b)\): " % {b"d": NUMBER})
KNOWN = {0x80000000, 0x0, 0x30000, 0x50000, 0x7FC00000, 0x7FF00000, 0x7FFC0000}
PLAIN = frozenset(range(0x21, 0x7F)) - {0x22}
LONGEST = 400
"""No number that the kernel prints has so many digits; longer ones are slow to read, and refused by int()."""

Fields = dict[str, object]


def oracle(text: bytes) -> Fields | None:
    """What a text says if the kernel can have printed it."""
    match = GRAMMAR.fullmatch(text)
    if match is None:
        return None
    found = match.groupdict()
    values: dict[str, int] = {}
    for name, bits in {"seconds": 64, "milliseconds": 10, "serial": 32, "auid": 32, "uid": 32, "gid": 32, "session": 32,
                       "pid": 31, "signal": 7, "number": 31, "compat": 1}.items():  # fmt: skip
        if len(found[name]) > LONGEST:
            return None
        values[name] = int(found[name])
        if not -(2**bits) <= values[name] < 2**bits:
            return None
    for name, bits in {"audit_arch": 32, "address": 64, "action": 32}.items():
        values[name] = int(found[name], 16)
        if values[name] >= 2**bits:
            return None
    comm, exe = string(found["comm"]), None if found["exe"] == b"(null)" else string(found["exe"])
    if comm is None or (exe is None and found["exe"] != b"(null)") or not values["audit_arch"]:
        return None
    kills = values["signal"] and len(found["action"]) == 8 and found["action"].endswith(b"0000")
    if values["action"] not in KNOWN and not kills:  # an unknown action does, and its beginning is no other action
        return None
    time_ms = values.pop("seconds") * 1000 + values.pop("milliseconds")
    return {
        **values,
        "time_ms": time_ms,
        "subject": found["subject"],
        "comm": comm,
        "exe": exe,
        "compat": bool(values["compat"]),
    }


def string(printed_as: bytes) -> bytes | None:
    """Quoted if every byte may stand in quotes, else hexadecimal; the kernel's strings have no NUL."""
    if printed_as.startswith(b'"'):
        return printed_as[1:-1]
    value = bytes.fromhex(printed_as.decode())
    return None if PLAIN.issuperset(value) or 0 in value else value


def fields_of(record: SeccompRecord) -> Fields:
    """The record, under the names that `printed.record` has for its fields."""
    process = ("auid", "uid", "gid", "session", "subject", "pid", "comm", "exe")
    call = ("signal", "audit_arch", "number", "compat", "action")
    return {
        "time_ms": record.time_ms,
        "serial": record.serial,
        "address": record.address,
        **{name: getattr(record.process, name) for name in process},
        **{name: getattr(record.call, name) for name in call},
    }


def check(text: bytes) -> None:
    """Raise AssertionError where parser and oracle do not agree."""
    expected = oracle(text)
    for record in (parse(text), parse_line(LINE_START + text)):
        assert (None if record is None else fields_of(record)) == expected, (record, expected, text)
    assert parse_line(text) is None or text.startswith(LINE_START), text
    stamp = STAMP.match(text)
    serial = None
    if stamp and max(map(len, stamp.groups())) <= LONGEST and int(stamp[1]) < 2**64 and int(stamp[3]) < 2**32:
        serial = int(stamp[3])
    assert serial_of(text) == serial, (serial_of(text), serial, text)


def made(data: atheris.FuzzedDataProvider) -> bytes:
    """A record of fields that the fuzzer chooses, as the kernel prints it."""

    def name() -> bytes:
        return bytes(data.ConsumeBytes(data.ConsumeIntInRange(0, 24)).replace(b"\0", b" "))

    def number(bits: int) -> int:
        return int(data.ConsumeIntInRange(0, 2**bits - 1))

    return printed.record(
        time_ms=number(50),
        serial=number(32),
        auid=number(32),
        uid=number(32),
        gid=number(32),
        session=number(32),
        subject=bytes(data.ConsumeBytes(data.ConsumeIntInRange(0, 40))) if data.ConsumeBool() else None,
        pid=number(31),
        comm=name(),
        exe=name() if data.ConsumeBool() else None,
        signal=number(7),
        audit_arch=1 + number(31),
        number=number(32) - 2**31,
        compat=data.ConsumeBool(),
        address=number(63),
        action=data.PickValueInList(sorted(KNOWN)),
    )


def one_input(given: bytes) -> None:
    """A text as it is, or a record that is right, and then with some bytes of it changed."""
    if given[:1] < b"\x80":
        check(given[1:])
        return
    data = atheris.FuzzedDataProvider(given[1:])
    text = made(data)
    assert oracle(text) is not None, text
    check(text)
    for _ in range(data.ConsumeIntInRange(0, 3)):
        at = data.ConsumeIntInRange(0, len(text))
        text = text[:at] + data.ConsumeBytes(data.ConsumeIntInRange(0, 8)) + text[at + data.ConsumeIntInRange(0, 8) :]
        check(text)


def main(arguments: Sequence[str]) -> None:
    """Does not return: libFuzzer ends the process."""
    atheris.Setup([*arguments, "-max_len=512", "-timeout=10"], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
