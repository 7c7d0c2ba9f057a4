"""The supervisor of one sandbox: parent of its program, it answers, decides and records its calls.

A process of its own, forked from the host, in a session of its own. It adopts what its program leaves behind, and ends
when all of that has ended; or it ends it, when pytest has ended or asks for it.
"""

import errno
import fcntl
import os
import select
import signal

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux import seccomp
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.messages import Messages
from pytest_seccomp.linux.notification import (
    ANSWER_FLAGS,
    ANSWER_ID,
    CONTINUE,
    NOTIFICATION_SIZE,
    RECV,
    SEND,
    WORD_CALL,
    WORD_ID,
    Exchange,
    nobody_is_traced,
    wake_up_in_place,
)
from pytest_seccomp.linux.parent import adopt_orphans
from pytest_seccomp.linux.process import Watched, run_as_soon_as_woken
from pytest_seccomp.linux.waiting import WaitingCall
from pytest_seccomp.recorder import protocol
from pytest_seccomp.sandbox.connection import Connection
from pytest_seccomp.sandbox.ending import end_descendants
from pytest_seccomp.sandbox.enforcement import Seen, denied, logged
from pytest_seccomp.sandbox.filter import Filter
from pytest_seccomp.sandbox.launcher import launch
from pytest_seccomp.sandbox.records import Denials, Report
from pytest_seccomp.sandbox.request import Request
from pytest_seccomp.sandbox.streams import stream_pair

_AGAIN_MS = 5
"""How long what was killed may take to end until it is looked for again."""

_DATA = slice(16, NOTIFICATION_SIZE)


class Supervisor:
    """Serves one sandbox. `requests` and `news` are the sockets to pytest, `target` is pytest."""

    def __init__(self, requests: int, news: int, target: Watched) -> None:
        self._requests = Connection(requests)
        self._news = Connection(news)
        self._target = target
        self._poll = select.poll()
        self._wakes, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wake = wake
        self._listener = -1
        self._start_pipe = -1
        """From which the launcher's failure comes; its end says that the program runs."""
        self._started = b""
        self._program = 0
        self._status: int | None = None
        self._over = self._ending = False
        self._enders: list[int] = []
        """The numbers of the requests to end it."""
        self._exchange = Exchange()
        self._rules = Filter(b"", True)
        self._records = True
        self._counts: dict[int, int] = {}
        self._denials = Denials()

    def run(self) -> None:
        """Serve until all is over and told, or pytest has ended and so has all of the sandbox."""
        os.setsid()
        adopt_orphans()
        run_as_soon_as_woken()
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._watch(self._requests.descriptor, self._wakes)
        if self._target.descriptor is not None:
            self._watch(self._target.descriptor)
        try:
            while not (self._over and (self._target.gone() or not self._has_to_tell)):
                self._turn()
        except Exception as error:
            self._news.send(("broken", f"{type(error).__name__}: {error}"))
            raise

    @property
    def _has_to_tell(self) -> bool:
        told = (self._news, self._requests)
        return any(connection.has_unsent for connection in told)

    def _turn(self) -> None:
        for connection in (self._news, self._requests):
            if connection.has_unsent:
                self._poll.register(connection.descriptor, select.POLLIN | select.POLLOUT)
        timeout = _AGAIN_MS if self._ending and not self._over else self._target.wait_ms()
        ready = {descriptor for descriptor, _ in self._poll.poll(timeout)}
        if self._listener in ready:
            self._answer_call()
        if self._start_pipe in ready:
            self._look_at_start()
        if self._wakes in ready:
            self._empty_wakes()
            self._wait_for_children()
        if self._news.descriptor in ready:
            self._news.flush()
            self._poll.unregister(self._news.descriptor)
        if self._requests.descriptor in ready:
            self._take_requests()
        if self._target.gone() and not self._ending:
            self._end()
        if self._ending and not self._over:
            end_descendants()
            self._wait_for_children()

    def _watch(self, *descriptors: int) -> None:
        for descriptor in descriptors:
            self._poll.register(descriptor, select.POLLIN)

    def _take_requests(self) -> None:
        self._requests.flush()
        messages = self._requests.receive()
        self._watch(self._requests.descriptor)
        if self._requests.closed:
            self._poll.unregister(self._requests.descriptor)
        for message in messages:
            match message:
                case ("start", _):
                    self._start(Request.from_message(message))
                case ("report", n):
                    self._requests.send(("report", n, self._report()))
                case ("signal", n, int(number)):
                    self._requests.send(("signal", n, self._signal(number)))
                case ("end", int(n)):
                    self._enders.append(n)
                    self._end()
        if not self._program and self._requests.closed:
            self._over = True  # there will be no program

    def _start(self, request: Request) -> None:
        given = self._requests.descriptors
        self._requests.descriptors = []
        if len(given) != len(request.targets):
            self._refuse("not all descriptors for the program have come", "raise the limit of open files (ulimit -n)")
            return
        try:
            self._rules = Filter(request.program, request.record)
        except SeccompError as error:
            self._refuse(*str(error).split(": ", 1))
            return
        self._records = request.record or not request.program
        reading, writing = os.pipe2(os.O_CLOEXEC)
        ours, theirs = stream_pair()
        self._program = os.fork()
        if not self._program:
            launch(request, given, theirs, writing, self._rules.cookie, self._rules.code)
        for descriptor in (*given, theirs, writing):
            os.close(descriptor)
        os.set_blocking(reading, False)
        self._start_pipe = reading
        # Without one the pipe says why
        _, listeners = Messages().receive(ours)
        os.close(ours)
        for listener in listeners:
            self._listener = listener
            wake_up_in_place(listener)
            self._watch(listener)
        self._watch(reading)

    def _refuse(self, reason: str, remedy: str) -> None:
        self._news.send(("refused", reason, remedy))
        self._over = True

    def _look_at_start(self) -> None:
        """What the pipe of the launcher says: nothing, why there is no program, or by its end, that it runs."""
        try:
            data = os.read(self._start_pipe, 65536)
        except BlockingIOError:
            return
        self._started += data
        if data:
            return
        self._poll.unregister(self._start_pipe)
        os.close(self._start_pipe)
        self._start_pipe = -1
        for message in protocol.Decoder().feed(self._started):
            self._news.send(message)
            return
        execve = native().audit_arch << 32 | native().execve
        self._counts[execve] = self._counts.get(execve, 0) + 1
        self._news.send(("started", self._program))

    def _answer_call(self) -> None:
        """Receive a call and give it its answer."""
        exchange = self._exchange
        notification, words = exchange.notification, exchange.words
        notification[:NOTIFICATION_SIZE] = _ZERO
        try:
            fcntl.ioctl(self._listener, RECV, notification, True)
        except OSError:
            # ENOENT: the caller was killed before it was received, or nobody is left
            if nobody_is_traced(self._listener):
                self._poll.unregister(self._listener)
                self._listener = -1
            return
        if self._start_pipe >= 0:
            self._look_at_start()  # the pipe's end comes before the first call of the program
        launching = self._start_pipe >= 0
        seen: Seen | None = None
        if not (launching or self._rules.allows_everything):
            verdict = self._rules.verdict(notification[_DATA].tobytes())
            if verdict != seccomp.RET_ALLOW:
                call = WaitingCall(self._listener, notification)
                if verdict != seccomp.RET_LOG:
                    seen = denied(call, verdict, self._rules)
                    if seen is not None:
                        self._denials.add(*seen)
                    return
                seen = logged(call)
        exchange.answer_words[ANSWER_ID] = words[WORD_ID]
        exchange.answer_halves[ANSWER_FLAGS] = CONTINUE
        try:
            fcntl.ioctl(self._listener, SEND, exchange.answer, True)
        except OSError:
            return  # ENOENT: the call did not take place as notified
        if seen is not None:
            self._denials.add(*seen)
        if self._records and not launching:
            number = words[WORD_CALL]
            self._counts[number] = self._counts.get(number, 0) + 1

    def _report(self) -> Report:
        return self._counts if self._records else {}, self._denials.told()

    def _signal(self, number: int) -> int:
        """Send a signal to the program unless it has ended; returns an error's number, or 0."""
        if self._status is not None or not self._program:
            return 0
        try:
            os.kill(self._program, number)
        except OSError as error:
            return error.errno or errno.EPERM
        return 0

    def _end(self) -> None:
        """End what there is, from now on in each turn until nobody is left."""
        if self._listener >= 0 and not self._ending:
            self._poll.unregister(self._listener)  # whoever waits for an answer starts nothing new until it is killed
        self._ending = True
        if not self._program:
            self._over = True
        self._tell_enders()

    def _tell_enders(self) -> None:
        if self._over:
            for n in self._enders:
                self._requests.send(("report", n, self._report()))
            self._enders.clear()

    def _empty_wakes(self) -> None:
        try:
            os.read(self._wakes, 4096)
        except BlockingIOError:
            pass

    def _wait_for_children(self) -> None:
        """Those that have ended: the program, and orphans. Without any more the sandbox is over."""
        while self._program:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._is_over()
                return
            if not pid:
                return
            if pid == self._program:
                self._status = status
                if self._start_pipe >= 0:
                    self._look_at_start()
                self._news.send(("ended", status, self._report()))

    def _is_over(self) -> None:
        if not self._over:
            self._over = True
            self._news.send(("over", self._report()))
            self._tell_enders()


_ZERO = bytes(NOTIFICATION_SIZE)
