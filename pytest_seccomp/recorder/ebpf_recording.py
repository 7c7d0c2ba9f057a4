"""The recorder of the `ebpf` backend: it reads what the kernel has counted, and knows what is missing.

It is told when a test has ended, and reads what was counted for it then. pytest goes on meanwhile, up to AHEAD tests.
"""

from __future__ import annotations

import select

from pytest_seccomp.linux.process import run_as_soon_as_woken
from pytest_seccomp.recorder import labels
from pytest_seccomp.recorder.ebpf_programs import AHEAD, RING

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_seccomp.recorder import protocol
    from pytest_seccomp.recorder.ebpf_counts import SlotCounts
    from pytest_seccomp.recorder.ebpf_tracer import Tracer
    from pytest_seccomp.recorder.process import Recorder

_END_MS = 1000

_REST_MS, _LONGEST_REST_MS = 1, 8
_MANY = 2
"""Tests that have begun during a rest: with more of them, pytest would soon be too far ahead."""
_NO_QUESTIONS = ("begin", "end")
"""What pytest says while it goes on."""

_FINISH: protocol.Message = ("finish",)


class Recording:
    """One run, from the moment on in which pytest may be followed."""

    def __init__(self, host: Recorder, tracer: Tracer, counts: SlotCounts) -> None:
        self._host = host
        self._tracer = tracer
        self._counts = counts
        self._missed_before = self._missed = tracer.missed_runs()
        self._test: int | None = None
        self._rest_ms, self._longest_ms = _REST_MS, _LONGEST_REST_MS
        self._rests = False
        """Whether messages are left to gather, because nobody waits for what comes of them."""

    def run(self) -> None:
        """Record until the session is over, or until pytest has ended."""
        host = self._host
        poll = select.poll()
        if host.target.descriptor is not None:
            poll.register(host.target.descriptor, select.POLLIN)
        listening = True
        while not host.target.gone():
            if listening:
                # To wake this process costs pytest more than to send a message
                poll.register(host.control, 0 if self._rests else select.POLLIN)
            waits = (host.target.wait_ms(), self._rest_ms if self._rests else None)
            poll.poll(min((wait for wait in waits if wait is not None), default=None))
            self._read_messages()
            if host.closed and listening:
                listening = False
                poll.unregister(host.control)
                poll.poll(_END_MS)  # a process that ends loses its descriptors first
                if host.target.gone():
                    break
                self._take_all()
                host.has_been_closed()
            if host.has_no_more_to_do:
                return
        self._read_messages()
        self._take_all()
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
        self._rest(messages)

    def _rest(self, messages: list[protocol.Message]) -> None:
        """Whether to rest now, and for how long: about as long as a test takes."""
        begun = sum(message[0] == "begin" for message in messages)
        if any(message[0] not in _NO_QUESTIONS for message in messages):
            self._rests = False
            if self._test is not None and messages[-1][0] != "read":
                self._longest_ms = _REST_MS  # the tests ask for what they have called
        elif messages:
            self._rests = True
        elif self._rests:
            self._rest_ms *= 2
            self._rests = self._rest_ms <= self._longest_ms
        if begun > _MANY or not self._rests:
            self._rest_ms = _REST_MS
        self._rest_ms = min(self._rest_ms, self._longest_ms)

    def _handle(self, message: protocol.Message) -> None:
        match message:
            case ("attach",):
                seen = self._counts.markers() > 0
                self._host.pass_on(("attach", seen, self._counts.slot), self._tracer.maps.current.descriptor)
            case ("read", int(label)):
                self._take_late(range(labels.FIRST_TEST, labels.FIRST_TEST + RING * len(labels.PHASES)))
                self._counts.have_begun(label)
                self._host.send(("read",))
            case ("finish",):
                self._finish()
            case ("begin", int(base), *_):
                self._take_test()
                self._test = base
                self._host.handle(message)
                earlier = base - AHEAD * len(labels.PHASES)
                if earlier >= labels.FIRST_TEST:
                    self._take_late(range(earlier, earlier + len(labels.PHASES)))
                self._counts.have_begun(base)
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

    def _take_late(self, late: Iterable[int]) -> None:
        """What was counted between a test's last reading and now, by a processor that was on its way: its banks will be
        those of other tests."""
        for label in late:
            self._take(label, labels.HARNESS)
        self._counts.forget_callers(late)

    def _finish(self) -> None:
        self._take_all()
        reasons = []
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
