"""The self-check of the backends that read the kernel's log: a child makes known calls, and what comes of them is
compared."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` costs the recorder 3 ms at its start
import os
import select
import time

from pytest_seccomp.errors import BackendError
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.seccomp_record import LOG
from pytest_seccomp.recorder.kernel_log import KMSG, open_log
from pytest_seccomp.recorder.log_marks import REMEDY, RINGS, attach, first_number
from pytest_seccomp.recorder.refused import explained

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_seccomp.linux.seccomp_record import SeccompRecord
    from pytest_seccomp.recorder.kernel_log import SeccompLog

CALLS = 50

_SECONDS = 2.0
_SECONDS_TO_PRINT = 7.0
"""The kernel may have printed others' records just now, and then prints none for five seconds."""
_AGAIN_SECONDS = 0.25

_ATTACHED = "attached "

_NO_RECORD_REMEDY = (
    "the kernel's audit has to be on (no audit=0 when it was booted), the network namespace the initial one, and no "
    "filter around this process stricter than one that logs: that of a container, or of a pytest that is traced"
)


def check(source: str) -> SeccompLog:
    """Have a child make known calls, and look for them in the log; returns it open, its account begun after them. Of
    what the kernel prints one record is enough. Raises BackendError where they do not come. For a process without other
    threads."""
    try:
        log = open_log(source, ["log"])
    except BackendError as error:
        raise BackendError(error.reason, f"{error.remedy}; the backend notify needs no privilege") from error
    try:
        log.refuse_own_records()
        child = _Child(repeat=source == KMSG)
        try:
            if source == KMSG:
                _check_one(log, child)
            else:
                _check_all(log, child)
        finally:
            child.end()
    except BaseException:
        log.close()
        raise
    return log


def _check_all(log: SeccompLog, child: _Child) -> None:
    counted: dict[int, int] = {}
    opening: SeccompRecord | None = None
    for record in _records(log, _SECONDS):
        if not child.made(record):
            continue
        number = record.call.number - child.first
        if number == RINGS:
            opening = record
            log.begin(record.serial)
        elif number == RINGS + 1 and opening is not None:
            _wait_for_late_ones(log, record.serial)
            for reason in log.losses(record.serial):
                raise BackendError(reason, "try it again on a machine that is less busy")
            break
        elif opening is not None:
            counted[record.call.key] = counted.get(record.call.key, 0) + 1
    else:
        raise BackendError(f"the records of a child's calls did not come within {_SECONDS:.0f} s", _NO_RECORD_REMEDY)
    if counted != {native().audit_arch << 32 | native().ioctl: CALLS}:
        raise BackendError(
            f"of {CALLS} calls of the self-check {sum(counted.values())} were recorded",
            "look for another seccomp filter or a tracer around this process",
        )


def _check_one(log: SeccompLog, child: _Child) -> None:
    others = 0
    for record in _records(log, _SECONDS_TO_PRINT):
        if child.made(record):
            log.begin(record.serial)
            return
        others += 1
    reason = f"no record of a child's calls was printed within {_SECONDS_TO_PRINT:.0f} s"
    if others:
        raise BackendError(f"{reason}, but {others} of other processes", "try again when they are done, or use audit")
    raise BackendError(reason, _NO_RECORD_REMEDY)


def _records(log: SeccompLog, seconds: float) -> Iterator[SeccompRecord]:
    """What comes within some seconds."""
    poll = select.poll()
    poll.register(log.descriptor, select.POLLIN)
    left, end = seconds, time.monotonic() + seconds
    while left > 0:
        left = end - time.monotonic()
        poll.poll(max(0, 1000 * left))  # and a last time after the end: this process may not have run until then
        yield from log.receive()


def _wait_for_late_ones(log: SeccompLog, serial: int) -> None:
    end = time.monotonic() + _SECONDS
    while log.missing(serial) and time.monotonic() < end:
        time.sleep(0.01)
        log.receive()


class _Child:
    """A child that is traced, as pytest is going to be."""

    def __init__(self, *, repeat: bool) -> None:
        """Start it. Raises BackendError where it cannot come under the filter."""
        cookie = int.from_bytes(os.urandom(7), "little")
        self.first = first_number(cookie)
        reading, writing = os.pipe()
        parent = os.getpid()
        self._pid = os.fork()
        if not self._pid:
            try:
                os.close(reading)
                _make_known_calls(writing, cookie, parent, repeat=repeat)
            finally:
                os._exit(0)
        os.close(writing)
        message = os.read(reading, 4096).decode()
        os.close(reading)
        if not message.startswith(_ATTACHED):
            self.end()
            reason, _, remedy = message.partition("\n")
            raise BackendError(reason or "a child did not survive the filter", remedy or REMEDY)
        session = message.removeprefix(_ATTACHED)
        self._session = int(session) if session else None

    def made(self, record: SeccompRecord) -> bool:
        """Whether the child has made this call. Raises BackendError where that cannot be told, of its markers."""
        if record.call.action != LOG:
            return False
        if self._session is not None:
            return record.process.session == self._session
        if record.process.pid == self._pid:
            return True
        if record.call.number == self.first + RINGS:
            raise BackendError(
                "the records of the tests cannot be told from others: this process may not begin an audit session, and "
                "in its pid namespace its processes have other numbers than in the records",
                "start it with CAP_AUDIT_CONTROL, or from where no login has set /proc/self/loginuid",
            )
        return False

    def end(self) -> None:
        """End it."""
        os.kill(self._pid, _signal.SIGKILL)
        os.waitpid(self._pid, 0)


def _make_known_calls(told: int, cookie: int, parent: int, *, repeat: bool) -> None:
    from pytest_seccomp.linux import raw
    from pytest_seccomp.linux.marked import MarkedCalls
    from pytest_seccomp.linux.parent import end_with

    def tell(kind: str, *members: object) -> None:
        if kind == "attached":
            os.write(told, f"{_ATTACHED}{'' if members[0] is None else members[0]}".encode())

    call, number, nowhere = raw.function(), raw.Word(native().ioctl), raw.Word(2**32 - 1)
    try:
        end_with(parent)
        marks = attach(MarkedCalls(cookie), cookie, told, tell)
    except (BackendError, OSError) as error:
        refused = explained(error)
        os.write(told, f"{refused.reason}\n{refused.remedy}".encode())
        return
    marks.ring(0)
    while repeat:
        time.sleep(_AGAIN_SECONDS)
        marks.ring(0)
    for _ in range(CALLS):
        call(number, nowhere)
    marks.ring(0)


def notes(source: str) -> list[str]:
    """What a user should know of a log that can be read. Raises BackendError where it cannot."""
    log = open_log(source, ["log"])
    log.close()
    return log.notes
