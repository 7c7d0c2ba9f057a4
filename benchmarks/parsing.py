"""READER RECORDS [new]: read RECORDS audit records of type SECCOMP, and print the microseconds of processor time that
one took.

They are those of a suite: programs that live for a hundred calls, each with addresses of its own. With `new`, each
record is of another program at another time and place, which no suite does, but a hostile one could.
"""

import re
import sys
from time import process_time

from pytest_seccomp.linux import seccomp_record

_TEXT = (
    b"audit(%d.%03d:%d): auid=4294967295 uid=1000 gid=1000 ses=7 pid=%d "
    b'comm="program-%d" exe="/usr/lib/programs/program-%d" sig=0 arch=c000003e syscall=%d compat=0 ip=0x%x '
    b"code=0x7ffc0000"
)
_BLOCK = 10_000
_CALLS_OF_A_PROGRAM = 100
_PLACES = 60
_IN_A_MILLISECOND = 150

_PATTERN = re.compile(
    rb"audit\((\d+)\.(\d+):(\d+)\): .*pid=(\d+) comm=(\S+) exe=(\S+) .*arch=(\w+) syscall=(-?\d+) .*code=(\w+)"
)


def by_pattern(text: bytes) -> tuple[int | bytes, ...] | None:
    """A naive reader: searches for a few fields, and believes what it finds."""
    match = _PATTERN.search(text)
    if match is None:
        return None
    seconds, milliseconds, serial, pid, comm, exe, arch, number, code = match.groups()
    return (
        int(seconds) * 1000 + int(milliseconds), int(serial), int(pid), comm.strip(b'"'), exe.strip(b'"'),
        int(arch, 16), int(number), int(code, 16),
    )  # fmt: skip


def by_split(text: bytes) -> tuple[int | bytes, ...] | None:
    """Another one: takes whatever has a `=` in it for a field."""
    stamp, *words = text.split()
    fields = dict(word.split(b"=", 1) for word in words if b"=" in word)
    seconds, _, serial = stamp[6:-2].partition(b":")
    return (
        int(seconds.replace(b".", b"")), int(serial), int(fields[b"pid"]), fields[b"comm"].strip(b'"'),
        fields[b"exe"].strip(b'"'), int(fields[b"arch"], 16), int(fields[b"syscall"]), int(fields[b"code"], 16),
    )  # fmt: skip


_READERS = {"exact": seccomp_record.parse, "pattern": by_pattern, "split": by_split}


def texts(first: int, each_new: bool) -> list[bytes]:
    """A block of records, from that one on."""
    block = []
    for serial in range(first, first + _BLOCK):
        program = serial if each_new else serial // _CALLS_OF_A_PROGRAM
        place = serial if each_new else serial % _PLACES
        time_ms = 1795473200000 + (serial if each_new else serial // _IN_A_MILLISECOND)
        block.append(
            _TEXT
            % (
                *divmod(time_ms, 1000),
                serial,
                1000 + program % 30_000,
                program,
                program % 100,
                place % _PLACES,
                0x7F61_0000_0000 + program * 0x10_0000 + place * 48,
            )
        )
    return block


def main(reader: str, records: int, *, each_new: bool) -> None:
    """Measure. Fails where a record was not read."""
    read = _READERS[reader]
    seconds = 0.0
    for first in range(1, records, _BLOCK):
        block = texts(first, each_new)
        before = process_time()
        for text in block:
            if read(text) is None:
                raise SystemExit(f"{reader} does not read {text!r}")
        seconds += process_time() - before
    print(seconds / records * 1e6)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), each_new="new" in sys.argv[3:])
