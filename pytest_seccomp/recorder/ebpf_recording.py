"""The recorder of the `ebpf` backend: it reads what the kernel has counted, and knows what is missing.

Nobody waits for it but for every RING tests. It is told when a test has ended, and reads what was counted for it then.
"""

from __future__ import annotations

import select
import time

from pytest_seccomp.linux.process import run_as_soon_as_woken
from pytest_seccomp.recorder import labels
from pytest_seccomp.recorder.ebpf_programs import RING

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from pytest_seccomp.recorder import protocol
    from pytest_seccomp.recorder.ebpf_counts import SlotCounts
    from pytest_seccomp.recorder.ebpf_tracer import Tracer
    from pytest_seccomp.recorder.process import Recorder

_END_MS = 1000

_REST_SECONDS = 0.001
_NO_REST_IN_THE_LAST = 4
"""Tests of a ring: when those have ended, pytest waits."""
_NO_QUESTIONS = ("begin", "end")
"""What pytest says while it goes on."""

_FINISH: protocol.Message = ("finish",)
_MERGED: protocol.Message = ("merged",)


class Recording:
    """One run, from the moment on in which pytest may be followed."""

    def __init__(self, host: Recorder, tracer: Tracer, counts: SlotCounts) -> None:
        self._host = host
        self._tracer = tracer
        self._counts = counts
        self._missed_before = self._missed = tracer.missed_runs()
        self._test: int | None = None
        self._unseen = False
        self._turn = RING
        """Of the test that began last, in the ring."""
        self._may_rest = False
        self._until_marked: list[protocol.Message] = []
        """What is done when pytest says how many markers it has made: then it expects nothing more of this process."""

    def run(self) -> None:
        """Record until the session is over, or until pytest has ended."""
        host = self._host
        poll = select.poll()
        poll.register(host.control, select.POLLIN)
        if host.target.descriptor is not None:
            poll.register(host.target.descriptor, select.POLLIN)
        listening = True
        while not host.target.gone():
            poll.poll(host.target.wait_ms())
            self._read_messages()
            if self._may_rest and not host.closed:
                # To wake this process costs pytest more than to send a message: let those of some tests gather
                time.sleep(_REST_SECONDS)
            if host.closed and listening:
                listening = False
                poll.unregister(host.control)
                poll.poll(_END_MS)  # a process that ends loses its descriptors first
                if host.target.gone():
                    break
                self._take_all()
                host.has_been_closed()
                if _MERGED in self._until_marked:
                    host.handle(_MERGED)
            if host.has_no_more_to_do:
                return
        self._read_messages()
        self._take_all()
        for message in self._until_marked:
            if message != _FINISH:  # it did not hear of its end: its files are not written
                host.handle(message)
        host.target_has_ended()

    def _read_messages(self) -> None:
        if self._host.closed:
            return
        messages = self._host.receive()
        for message in messages:
            try:
                self._handle(message)
            except OSError:
                pass  # pytest has ended, and does not wait for the answer
        self._may_rest = self._turn < RING - _NO_REST_IN_THE_LAST and all(m[0] in _NO_QUESTIONS for m in messages)

    def _handle(self, message: protocol.Message) -> None:
        match message:
            case ("marked", int(made), bool(waits)):
                self._marked(made, waits=waits)
            case ("finish",) | ("merged",):
                self._until_marked.append(message)
            case ("begin", int(base), *_):
                self._take_test()
                self._test = base
                self._turn = (base - labels.FIRST_TEST) // len(labels.PHASES) % RING
                self._host.handle(message)
            case ("end", *_):
                self._take_test()
                self._host.handle(message)
            case ("outside", int(), tuple(asked)):
                for label in asked:
                    self._take(label)
                    self._note_callers(label)
                self._host.handle(message)
            case ("allowed", frozenset(allowed)):
                self._counts.watch(allowed)
                run_as_soon_as_woken()  # pytest waits now, at the end of each phase
                self._host.handle(message)
            case ("open" | "close", *_):
                self._take_phases()
                self._look_for_missed_runs()
                self._host.handle(message)
            case ("collected",):
                self._take(labels.COLLECTION)
                self._host.handle(message)
            case _:
                self._host.handle(message)

    def _marked(self, made: int, *, waits: bool) -> None:
        """pytest says how many markers it has made. Children that speak for it make more."""
        seen = self._counts.markers() >= made
        if not seen and not self._unseen:
            self._unseen = True
            self._host.ledger.miss(None)
        if waits:
            # What was counted between a test's last reading and now, by a processor that was on its way
            for label in range(labels.FIRST_TEST, labels.FIRST_TEST + RING * len(labels.PHASES)):
                self._take(label, labels.HARNESS)
            self._counts.forget_callers()
            self._host.send(("seen", seen))
        waiting, self._until_marked = self._until_marked, []
        for message in waiting:
            if message == _FINISH:
                self._finish()
            else:
                self._host.handle(message)

    def _finish(self) -> None:
        self._take_all()
        reasons = []
        if self._unseen:
            reasons.append("marker calls were not seen: is there a filter in the tests that denies prctl(2)?")
        if self._counts.lost:
            reasons.append(
                f"{self._counts.lost} calls with unusual numbers are not recorded: there are too many numbers"
            )
        if self._counts.unfollowed:
            reasons.append(f"{self._counts.unfollowed} threads are not traced: there are too many at a time")
        missed = self._look_for_missed_runs() - self._missed_before
        if missed:
            reasons.append(
                f"{missed} times the kernel did not show a call, a fork or an end to the programs that count"
            )
        self._host.handle(_FINISH, reasons)

    def _look_for_missed_runs(self) -> int:
        """Calls are missing since the kernel was asked last if its number of them has grown, which is returned."""
        missed = self._tracer.missed_runs()
        if missed != self._missed:
            self._missed = missed
            self._host.ledger.miss(None)
        return missed

    def _take_all(self) -> None:
        """Before the last lines are written."""
        self._take_test()
        self._take(labels.COLLECTION)
        self._take(labels.HARNESS)

    def _take_test(self) -> None:
        """Before the line of a test is written."""
        self._take_phases()
        if self._test is not None:
            for offset in range(len(labels.PHASES)):
                self._note_callers(self._test + offset)  # or they would pass for those of a later test's calls
        self._test = None

    def _note_callers(self, label: int) -> None:
        """Who made the calls of a label that are outside the profile."""
        outside = self._host.outside
        allowed = outside.allowed(label)
        if allowed is None:
            return
        for call in self._host.ledger.counts(label):
            if call not in allowed:
                whose = self._counts.caller(label, call)
                if whose is not None:
                    outside.note(label, call, whose)

    def _take_phases(self) -> None:
        """What has been counted for the test that runs."""
        if self._test is not None:
            for offset in range(len(labels.PHASES)):
                self._take(self._test + offset)

    def _take(self, label: int, counted_for: int | None = None) -> None:
        counts, ledger = self._counts, self._host.ledger
        lost, unfollowed = counts.lost, counts.unfollowed
        counts.take(label, ledger.counts(label if counted_for is None else counted_for))
        if counts.unfollowed != unfollowed:
            ledger.miss(None)
        elif counts.lost != lost:
            ledger.miss(counts.lost - lost)
