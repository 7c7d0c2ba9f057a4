"""The recorder of the backends that read the kernel's log: it counts what the records say, and knows what is missing.

Nobody waits for it, and the kernel keeps what comes meanwhile: so it reads many records at a time. Where pytest has
sent messages, they are handled when the marker that belongs to them has come, with all that was logged before it.
"""

from __future__ import annotations

import select
import time

from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.seccomp_record import LOG
from pytest_seccomp.recorder import labels, protocol
from pytest_seccomp.recorder.kernel_log import AUDIT, KMSG
from pytest_seccomp.recorder.log_marks import RINGS, first_number
from pytest_seccomp.recorder.log_scope import TracedProcesses
from pytest_seccomp.recorder.sentinel import Sentinel

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from pytest_seccomp.linux.caller import Caller
    from pytest_seccomp.linux.seccomp_record import SeccompRecord
    from pytest_seccomp.recorder.checked import Checked
    from pytest_seccomp.recorder.kernel_log import SeccompLog
    from pytest_seccomp.recorder.ledger import Counts
    from pytest_seccomp.recorder.process import Recorder

_ON_ITS_WAY_SECONDS = 2.0
"""How long a record may be on its way from the kernel."""

_LAST_SECONDS = 8.0
"""How long the record of the last marker is asked for: more than the five seconds in which kmsg may print nothing."""

_GATHER_SECONDS = 0.004
"""How long records gather before they are read together: several hundred, of 50,000 for which there is room."""

_REMEDIES = {
    AUDIT: "run the tests on a machine that is less busy, or use the backend notify",
    KMSG: "use the backend notify or audit",
}

_MOST_BATCHES = 50

_PENDING_MS = 20
_QUIET_MS = 100

_FINISH: protocol.Message = ("finish",)


class _Boundary:
    """What pytest sent before a marker that rings, and what is known of the marker."""

    __slots__ = ("deadline", "label", "messages", "number", "passed", "serial")

    def __init__(self, number: int, label: int, messages: list[protocol.Message]) -> None:
        self.number = number
        self.label = label
        self.messages = messages
        self.serial: int | None = None
        """Of the marker's record, once that has come."""
        self.passed = False
        """Whether a later marker has come."""
        self.deadline = time.monotonic() + _ON_ITS_WAY_SECONDS

    def due(self, log: SeccompLog) -> bool:
        """Whether all has come that was logged before it, or does not come any more."""
        if self.passed:
            return True
        if self.serial is not None and log.missing(self.serial) == 0:
            return True
        return time.monotonic() >= self.deadline


class LogRecording:
    """One run, from the moment in which the log is open."""

    def __init__(self, host: Recorder, log: SeccompLog) -> None:
        self._host = host
        self._log = log
        self._reading = True
        self._first = first_number(host.settings.cookie)
        self._traced = TracedProcesses()
        self._label = labels.HARNESS
        self._sent: list[protocol.Message] = []
        """What has come on the control socket since the last boundary."""
        self._boundaries: list[_Boundary] = []
        self._ask_until: float | None = None
        self._last: bytes | None = None
        """The name that the sentinel's record will have."""
        self._end: int | None = None
        """The serial of that record, once it has come."""
        self._poll = select.poll()

    def run(self) -> None:
        """Record until the session is over, or until pytest has ended."""
        host, log, poll = self._host, self._log, self._poll
        for descriptor in (log.descriptor, host.control.fileno(), host.target.descriptor):
            if descriptor is not None:
                poll.register(descriptor, select.POLLIN)
        closed = False
        while not host.target.gone():
            events = poll.poll(self._wait_ms())
            if events and not self._traced.are_looked_up() and not self._is_waited_for(events):
                time.sleep(_GATHER_SECONDS)
            self._read_messages()
            self._read_records()
            self._settle()
            if host.closed and not closed:
                closed = True
                poll.unregister(host.control)
                if self._reading:
                    self._drain()
                    host.has_been_closed()
            if host.has_no_more_to_do:
                return
        self._drain()
        host.target_has_ended()

    def _wait_ms(self) -> int | None:
        waits = [self._host.target.wait_ms(), self._traced.refresh_ms() if self._reading else None]
        waits.append(_PENDING_MS if self._boundaries else None)
        return min([wait for wait in waits if wait is not None], default=None)

    def _is_waited_for(self, events: list[tuple[int, int]]) -> bool:
        """Whether pytest may wait for an answer: that is sent when a marker has come that belongs to its question."""
        if not self._host.outside.is_asked:
            return False
        return bool(self._boundaries) or any(descriptor == self._host.control.fileno() for descriptor, _ in events)

    def _read_messages(self) -> None:
        """Sort what pytest has sent by the boundaries in it."""
        for message in self._host.receive():
            match message:
                case ("boundary", int(number), int(label)):
                    self._boundaries.append(_Boundary(number, label, self._sent))
                    self._sent = []
                case ("attached", None | int() as session):
                    self._traced.begin(session, self._host.settings.target)
                case _:
                    self._sent.append(message)

    def _read_records(self) -> None:
        """Count the records that have come; if they never end, not all, for there is pytest to look after."""
        if not self._reading:
            return
        self._traced.refresh_if_due()
        native_arch, first = native().audit_arch, self._first
        counts, outside = self._host.counts(self._label), self._host.outside
        for _ in range(_MOST_BATCHES):
            records = self._log.receive()
            if not records:
                break
            for record in records:
                call = record.call
                if call.action != LOG or not self._is_ours(record):
                    if record.process.comm == self._last:
                        self._end = record.serial
                    continue
                number = call.number - first
                if 0 <= number < 2 * RINGS and call.audit_arch == native_arch:
                    counts = self._mark(number, record)
                    continue
                key = call.key
                try:
                    counts[key] += 1
                except KeyError:
                    counts[key] = 1
                    allowed = outside.allowed(self._label)
                    if allowed is not None and key not in allowed:
                        outside.note(self._label, key, _caller(record))

    def _is_ours(self, record: SeccompRecord) -> bool:
        if not self._traced.known() and 0 <= record.call.number - self._first - RINGS < RINGS:
            self._read_messages()  # the first marker: before it nothing counts
        return self._traced.known() and self._traced.hold(record)

    def _mark(self, number: int, record: SeccompRecord) -> Counts:
        """A marker has come."""
        if number < RINGS:
            self._label = number
            return self._host.counts(number)
        self._read_messages()  # what belongs to it was sent before
        for place, boundary in enumerate(self._boundaries):
            # The first of several: a child that speaks for pytest goes on with its numbers, as pytest does after it
            if boundary.number == number - RINGS and boundary.serial is None:
                boundary.serial = record.serial
                boundary.deadline = time.monotonic() + _ON_ITS_WAY_SECONDS
                self._label = boundary.label
                for earlier in self._boundaries[:place]:
                    earlier.passed = earlier.passed or earlier.serial is None
                break
        return self._host.counts(self._label)

    def _settle(self) -> None:
        """Handle what was sent before markers whose records have come, or do not come any more."""
        while self._boundaries and (not self._reading or self._boundaries[0].due(self._log)):
            boundary = self._boundaries.pop(0)
            self._take_account(boundary)
            if boundary.serial is None and _FINISH in boundary.messages and self._ask_again():
                self._sent = boundary.messages + self._sent
                continue
            for message in boundary.messages:
                if message == _FINISH:
                    self._finish(boundary)
                else:
                    self._host.handle(message)

    def _take_account(self, boundary: _Boundary) -> None:
        """What is missing since the boundary before belongs to what is recorded now."""
        if not self._reading:
            return
        if boundary.serial is None:
            self._host.ledger.miss(None)
            if not boundary.passed:
                self._label = boundary.label
        else:
            before = self._log.lost
            if self._log.losses(boundary.serial):
                self._host.ledger.miss(self._log.lost - before)

    def _ask_again(self) -> bool:
        """Have pytest make the last marker call once more, where its record did not come."""
        now = time.monotonic()
        if self._ask_until is None:
            self._ask_until = now + _LAST_SECONDS
        if now >= self._ask_until:
            return False
        try:
            self._host.send(protocol.AGAIN)
        except OSError:
            return False  # pytest has ended
        return True

    def _finish(self, last: _Boundary) -> None:
        """The end of the session. Complete is what is proved to be."""
        unknown = self._log.conditions() + self._traced.reasons()
        if last.serial is None:
            unknown.append("the record of the last marker call did not come: what else did not is not known")
        self._host.ledger.lost = None if unknown else self._log.lost
        reasons = unknown + [f"{loss}: {_REMEDIES[self._log.source]}" for loss in self._log.all_losses()]
        self._stop_reading()
        try:
            self._host.handle(_FINISH, reasons)
        except OSError:
            pass  # pytest has ended

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._poll.unregister(self._log.descriptor)
            self._log.close()

    def _drain(self) -> None:
        """No message and no last marker comes any more; what was logged until now is on its way."""
        if not self._reading:
            return
        self._read_up_to_now()
        self._read_messages()
        self._settle()
        before = self._log.lost
        if self._end is None:
            self._host.ledger.miss(None)
        elif self._log.losses(self._end):
            self._host.ledger.miss(self._log.lost - before)
        self._stop_reading()
        left = [message for boundary in self._boundaries for message in boundary.messages] + self._sent
        self._boundaries, self._sent = [], []
        for message in left:
            if message != _FINISH:  # it does not hear of its end: its files are not written
                self._host.handle(message)

    def _read_up_to_now(self) -> None:
        """Read what was logged before now, whenever the kernel comes to send it: up to the record of a call that is
        made now. Of what is printed that need not come, nor can it be had where no process can be made."""
        poll = select.poll()
        poll.register(self._log.descriptor, select.POLLIN)
        end = time.monotonic() + _ON_ITS_WAY_SECONDS
        sentinel = None
        try:
            if self._log.source != KMSG:
                sentinel = Sentinel(self._close_in_sentinel)
                self._last = sentinel.ask()
        except OSError:
            pass
        if sentinel is None or self._last is None:
            while poll.poll(_QUIET_MS) and time.monotonic() < end:
                self._read_records()
            return
        self._read_records()
        while (self._end is None or self._log.missing(self._end)) and (left := end - time.monotonic()) > 0:
            poll.poll(1000 * left)
            self._read_records()
        sentinel.close()

    def _close_in_sentinel(self) -> None:
        self._log.close()
        self._host.close_in_child()


def _caller(record: SeccompRecord) -> Caller:
    process = record.process
    return process.pid, process.comm, process.exe


def record(host: Recorder, checked: Checked) -> None:
    """Record a run by the log of a self-check."""
    assert checked.log is not None
    host.control.setblocking(False)
    try:
        host.ready()
    except OSError:
        pass  # pytest has ended, which is seen
    LogRecording(host, checked.log).run()
