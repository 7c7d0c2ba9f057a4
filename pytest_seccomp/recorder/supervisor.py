"""Supervising the threads under one listener: their calls are counted, or denied, and answered.

Exact by construction: a call that was not counted was not made.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` and `socket` cost 13 ms at start
import fcntl
import os

from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.caller import caller
from pytest_seccomp.linux.notification import (
    ACTION,
    ANSWER_ERROR,
    ANSWER_FLAGS,
    ANSWER_ID,
    ANSWER_VALUE,
    CONTINUE,
    NOTIFICATION_SIZE,
    RECV,
    RET_DATA,
    RET_ERRNO,
    SEND,
    WORD_ARGUMENTS,
    WORD_CALL,
    WORD_ID,
    Exchange,
    nobody_is_traced,
    wake_up_in_place,
)
from pytest_seccomp.linux.process import run_as_soon_as_woken
from pytest_seccomp.recorder import labels, standby
from pytest_seccomp.recorder.timers import Timers

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from typing import Protocol

    from pytest_seccomp.recorder.ledger import Counts
    from pytest_seccomp.recorder.outside import Outside
    from pytest_seccomp.recorder.policies import Policies

    class Host(Protocol):
        """What supervising needs of the process that it runs in."""

        policies: Policies
        """Those that labels are under."""
        outside: Outside
        """The calls of which it is asked who made them."""

        def counts(self, label: int) -> Counts:
            """Where the calls of a label are counted."""

        def read_messages(self) -> int:
            """Handle what is on the control socket; returns what the marker call is to return."""

        def children_that_ended(self) -> list[int]:
            """The pids of the process's children that have ended since it was asked last."""

        def look_at_target(self) -> bool:
            """Whether the target has ended; then the host has done what is to be done."""

        def close_in_child(self) -> None:
            """Let go, in a process that was forked from this one, of what only this one may hold."""


class Supervisor:
    """Receives and answers the calls of the threads under one listener.

    `label` is a word in memory that is shared with whoever is traced: the label for which calls count.
    """

    def __init__(self, listener: int, label: memoryview, cookie: int, target: int, host: Host) -> None:
        self._listener = listener
        self._label = label
        self._cookie = cookie
        self._target = target
        self._host = host
        self._wakes: list[int] = []
        """Signals that came, noted by their handlers."""
        self._handlers: dict[int, object] = {}
        """Of these signals, those that were there before."""
        self._exchange = Exchange()
        self._standby = 0
        self._timers = Timers()
        wake_up_in_place(listener)
        # Until its call is received a traced thread waits, and can be interrupted by a signal
        run_as_soon_as_woken()

    def start(self) -> None:
        """Listen to signals, and start the standby."""
        for number in (standby.WAKE_SIGNAL, _signal.SIGCHLD):
            self._handlers[number] = _signal.signal(number, lambda number, _frame: self._wakes.append(number))
        self._start_standby()

    def close(self) -> None:
        """End the standby and let go of the listener, once nobody is traced any more."""
        os.kill(self._standby, _signal.SIGKILL)
        os.waitpid(self._standby, 0)
        for number, handler in self._handlers.items():
            _signal.signal(number, handler)
        os.close(self._listener)

    def serve(self) -> None:
        """Count and answer until no thread under the filter is left."""
        host, wakes, exchange, listener, cookie, current = (
            self._host, self._wakes, self._exchange, self._listener, self._cookie, self._label
        )  # fmt: skip
        notification, words, timers = exchange.notification, exchange.words, self._timers
        answer, answer_words, answer_halves = exchange.answer, exchange.answer_words, exchange.answer_halves
        answer_halves[ANSWER_FLAGS] = CONTINUE
        ring = native().munmap | native().audit_arch << 32
        ioctl, zero, size = fcntl.ioctl, bytes(NOTIFICATION_SIZE), NOTIFICATION_SIZE
        label = current[0]
        counts, looked_at, allowed = host.counts(label), host.policies.of(label).calls, host.outside.allowed(label)
        while True:
            notification[:size] = zero
            try:
                ioctl(listener, RECV, notification, True)
            except OSError:
                # A signal, a caller killed before it was received (ENOENT), or nobody left (ENOENT from Linux 6.11 on)
                if not wakes and nobody_is_traced(listener):
                    return
            else:
                call = words[WORD_CALL]
                answer_words[ANSWER_ID] = words[WORD_ID]
                if current[0] != label:
                    label = current[0]
                    counts, looked_at = host.counts(label), host.policies.of(label).calls
                    allowed = host.outside.allowed(label)
                    if label == labels.HARNESS:
                        timers.look()
                if call in looked_at:
                    if call == ring and words[WORD_ARGUMENTS + 4] == cookie:
                        # Never 0, which a filter of the code under test may answer
                        answer_words[ANSWER_VALUE] = 1 + host.read_messages()
                        answer_halves[ANSWER_FLAGS] = 0
                        try:
                            ioctl(listener, SEND, answer, True)
                        except OSError:
                            pass  # ENOENT: interrupted before Linux 5.19, and made again, or killed
                        answer_words[ANSWER_VALUE] = 0
                        answer_halves[ANSWER_FLAGS] = CONTINUE
                        counts, looked_at = host.counts(label), host.policies.of(label).calls
                        allowed = host.outside.allowed(label)
                        continue
                    if self._is_answered(label, counts):
                        if wakes:
                            self._woken()
                        counts, looked_at = host.counts(label), host.policies.of(label).calls
                        continue
                    timers.are_set(call, exchange.thread, words[WORD_ARGUMENTS : WORD_ARGUMENTS + 4])
                if allowed is not None and call not in counts and call not in allowed:
                    # While it waits: afterwards the thread may have ended, or run another program
                    host.outside.note(label, call, caller(exchange.thread))
                try:
                    ioctl(listener, SEND, answer, True)
                except OSError:
                    continue  # ENOENT: the call did not take place as notified
                try:
                    counts[call] += 1
                except KeyError:
                    counts[call] = 1
            if wakes:
                self._woken()
                if nobody_is_traced(listener):
                    return
                counts, looked_at = host.counts(label), host.policies.of(label).calls

    def _is_answered(self, label: int, counts: Counts) -> bool:
        """Whether a policy says something of the call that was received. Then it has its answer and is noted: it fails
        with an error, or where it is only to be noted it is made and counted."""
        policies, exchange = self._host.policies, self._exchange
        decided = policies.of(label).decide(exchange.data)
        if decided is None:
            return False
        words, call = exchange.words, exchange.words[WORD_CALL]
        # While it waits: afterwards the thread may have ended, or run another program
        whose, arguments = caller(exchange.thread), tuple(words[WORD_ARGUMENTS : WORD_ARGUMENTS + 6])
        fails = decided.verdict & ACTION == RET_ERRNO
        if fails:
            exchange.answer_halves[ANSWER_ERROR] = -(decided.verdict & RET_DATA)
            exchange.answer_halves[ANSWER_FLAGS] = 0
        try:
            fcntl.ioctl(self._listener, SEND, exchange.answer, True)
        except OSError:
            pass  # ENOENT: it was interrupted and did not take place, or its thread was killed
        else:
            policies.note(label, decided, call, whose, arguments)
            if not fails:
                if self._host.outside.allowed(label) is not None:
                    self._host.outside.note(label, call, whose)
                counts[call] = counts.get(call, 0) + 1
        exchange.answer_halves[ANSWER_ERROR] = 0
        exchange.answer_halves[ANSWER_FLAGS] = CONTINUE
        return True

    def _start_standby(self) -> None:
        self._standby = standby.start(self._listener, self._exchange, self._target, self._host.close_in_child)

    def _woken(self) -> None:
        """A child has ended, or the standby says that the target has."""
        self._wakes.clear()
        ended = self._host.children_that_ended()
        self._timers.have_ended(ended)
        if self._standby in ended:
            self._start_standby()
        if self._host.look_at_target():
            self._exchange.status[standby.TARGET_GONE] = 1
