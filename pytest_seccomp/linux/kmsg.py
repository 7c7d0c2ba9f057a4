"""The kernel's log, /dev/kmsg: what the kernel itself has printed since it was opened.

Not namespaced, and open to everybody unless kernel.dmesg_restrict asks for CAP_SYSLOG. Audit records are printed only
while no auditd runs, ten in five seconds (kernel.printk_ratelimit), and cut at 1 KiB.

The recorder imports this file. Sources: Documentation/ABI/testing/dev-kmsg, kernel/printk/printk.c (devkmsg_read,
devkmsg_write), lib/ratelimit.c.
"""

import errno
import os
import stat

PATH = "/dev/kmsg"

_DEVICE = os.makedev(1, 11)
_LONGEST = 16384
"""The kernel wants room for the longest record, 8 KiB before Linux 6.1, or says EINVAL."""

_KERNEL = 0
"""The facility of what the kernel prints; what is written to the device gets another one, whatever it asks for."""

_SUPPRESSED_START = b"kauditd_printk_skb: "
_SUPPRESSED_END = b" callbacks suppressed"


class KernelLog:
    """A reader of the log. Its `descriptor` is readable in a poll when there are lines, or some were lost."""

    def __init__(self, descriptor: int) -> None:
        """Take over a descriptor of the log, non-blocking; `open_at_end` makes one."""
        self.descriptor = descriptor
        self.overruns = 0
        """How often the kernel has said that lines were overwritten before they were read (EPIPE)."""
        self.missing = 0
        """How many lines of anybody were overwritten between those that were read. What was lost before the first one
        is in `overruns` alone."""
        self.suppressed = 0
        """How many audit records were not printed, by the account of the kernel, which it gives late: with the first
        record after the five seconds. The limit is shared with other parts of the kernel, and so is the account, which
        goes by the name of whoever prints next; the serials of the records have the whole truth."""
        self._expected: int | None = None

    def receive(self, most: int = 1000) -> list[bytes]:
        """The lines that the kernel has printed, oldest first, as it printed them; empty when nothing is left. Raises
        OSError."""
        lines: list[bytes] = []
        while len(lines) < most:
            try:
                entry = os.read(self.descriptor, _LONGEST)
            except BlockingIOError:
                break
            except BrokenPipeError:
                self.overruns += 1
                continue
            prefix, _, rest = entry.partition(b";")
            priority, sequence = [int(number) for number in prefix.split(b",", 2)[:2]]
            if self._expected is not None:
                self.missing += sequence - self._expected
            self._expected = sequence + 1
            if priority >> 3 == _KERNEL:
                lines.append(_unescaped(rest.partition(b"\n")[0]))
                self.suppressed += _suppressed(lines[-1])
        return lines

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.descriptor)


def open_at_end(path: str = PATH) -> KernelLog:
    """Open the log, to read what is printed from now on.

    Raises OSError: ENOENT and PermissionError as usual (containers have no such device; CAP_SYSLOG), ELOOP where it is
    a symbolic link and ENODEV where it is not that device, which some containers have in its place.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISCHR(found.st_mode) or found.st_rdev != _DEVICE:
            raise OSError(errno.ENODEV, "is not the character device 1:11", path)
        os.lseek(descriptor, 0, os.SEEK_END)
    except OSError:
        os.close(descriptor)
        raise
    return KernelLog(descriptor)


def _unescaped(text: bytes) -> bytes:
    """Control characters, what is not ASCII, and the backslash itself come as \\x and two hexadecimal digits."""
    first, *others = text.split(b"\\x")
    try:
        return first + b"".join(
            [bytes((int(other[:1], 16) << 4 | int(other[1:2], 16),)) + other[2:] for other in others]
        )
    except ValueError:
        return text  # a long line, cut in the middle of one


def _suppressed(line: bytes) -> int:
    if not (line.startswith(_SUPPRESSED_START) and line.endswith(_SUPPRESSED_END)):
        return 0
    count = line[len(_SUPPRESSED_START) : -len(_SUPPRESSED_END)]
    return int(count) if count.isdigit() else 0
