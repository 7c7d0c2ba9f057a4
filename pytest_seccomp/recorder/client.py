"""pytest's side: starting a recorder, coming under its filter, and talking to it.

While a backend traces this thread, nothing here makes a system call that would be in the trace: messages and markers
carry the cookie.
"""

import _socket
import errno
import importlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from json import dumps
from types import ModuleType
from typing import Protocol

from pytest_seccomp.errors import BackendError, RecorderError, UnusableError
from pytest_seccomp.linux import ptrace
from pytest_seccomp.linux.marked import MarkedCalls
from pytest_seccomp.linux.sockets import Socket
from pytest_seccomp.recorder import backends, labels, protocol, starting
from pytest_seccomp.recorder.refused import explained

_NOBODY_THERE = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EBADF, errno.ENOTSOCK)
"""What sending ends with where the recorder is not at the other end."""


class Marks(Protocol):
    """A backend's marker calls in a traced process."""

    def mark(self, label: int) -> bool:
        """From here on calls count for this label. Returns whether the recorder lives, as far as it is known."""

    def ring(self, label: int) -> bool:
        """The same, and the recorder handles what was sent to it up to here."""

    def ask(self, label: int) -> bool:
        """The recorder handles what was sent to it up to here, and its answer can be waited for; `label` is the one for
        which calls count anyway. Returns whether the recorder lives, as far as it is known."""


Spawn = Callable[[str, protocol.Message, str], _socket.socket]
"""Starts `main` of a module with its first message, as `starting.start` does."""


class Client:
    """One traced process's connection to its recorder.

    `alive` turns false when the recorder has died: the standby lets every call pass then, and nothing is recorded any
    more; or when it cannot be told any more whose calls come. `end` says in words what has happened.
    """

    def __init__(self, control: _socket.socket, cookie: int, backend: str, messages: int | None = None) -> None:
        """`cookie` is that of markers, and of messages where these have no other one."""
        self.backend = backend
        self._backend = _module_of(backend)
        self._control = control
        self._descriptor = control.fileno()
        self._decoder = protocol.Decoder()
        self._markers = MarkedCalls(cookie)
        self._calls = self._markers if messages is None else MarkedCalls(messages)
        self._cookie = cookie
        self._marks: Marks | None = None
        self._silent = self._paused = False
        self._number = 0
        self._one_at_a_time = threading.RLock()
        """Threads of a test may open blocks. In the thread that has it, a signal handler may want it again."""
        self.notes: list[str] = []
        """What the user should know of the backend before anything runs."""
        self.failures: list[tuple[str, BackendError]] = []
        """By name, the backends that were to be preferred and do not work here."""
        self.alive = True
        self.end = "the recorder died: what was traced after that is not recorded"
        self.label = labels.HARNESS
        self.recorder = 0
        """Its pid, 0 where that is not known."""

    def attach(self, program: bytes | None = None) -> None:
        """Come under the filter, with this thread and all that it starts. Raises UnusableError or RecorderError. With a
        `program`, which the backend `notify` takes, only under that: a filter that says of which calls the recorder is
        to know."""
        ptrace.permit(self.recorder)  # where it has interrupted calls made again
        selected = {} if program is None else {"program": program}
        try:
            self._marks = self._backend.attach(self._markers, self._cookie, self._descriptor, self.send, **selected)
        except (BackendError, OSError) as error:
            raise UnusableError([*self.failures, (self.backend, explained(error))]) from error
        os.register_at_fork(after_in_child=self._in_a_child)
        self.mark(labels.HARNESS, ring=True)

    def _in_a_child(self) -> None:
        """A child that the code under test has forked says nothing to the recorder, also where it comes back into
        pytest, as sys.exit() in a test does, and runs the rest of the session a second time. One that pytest itself has
        forked speaks for it (pytest-forked)."""
        if self.label != labels.HARNESS:
            self._silent, self._marks = True, None

    def pause(self, paused: bool) -> None:
        """Say nothing to the recorder for a while, but for requests: all calls are the harness's."""
        self._paused = paused

    def mark(self, label: int, *, ring: bool = False) -> None:
        """From here on calls count for another label; with `ring`, the recorder reads its messages now."""
        self.label = label
        marks = None if self._paused else self._marks
        if self.alive and marks is not None and not (marks.ring(label) if ring else marks.mark(label)):
            self._is_not_answered()

    def send(self, *message: object) -> None:
        """Send a message, which the recorder of a traced process reads at the next `ring` or `request`."""
        if self._silent or self._paused:
            return
        data = protocol.encode(message)
        with self._one_at_a_time:
            while data and self.alive:
                try:
                    data = data[self._calls.send(self._descriptor, data, wait=self._backend.READS_AT_ANY_TIME) :]
                except BlockingIOError:
                    self.ring()
                except OSError as error:
                    if error.errno in (errno.EBADF, errno.ENOTSOCK):
                        if not self._backend.READS_AT_ANY_TIME:
                            self.ring()  # markers need no descriptor: the recorder finds the end of the connection
                        self.end = protocol.CLOSED
                    self.alive = False

    def count_sandbox(
        self,
        label: int,
        argv: Sequence[str],
        policy: str | None,
        counts: Mapping[int, int],
        denied: Sequence[Mapping[str, object]],
        *,
        complete: bool,
    ) -> None:
        """Have what a sandboxed program has done under a label counted for it, and told of in the line of the test.

        `policy` is in words. `counts` are of the calls that were made, by call as in `ledger.Counts`; the members of a
        denial are those of a deny log, but for those that say whose it is. The recorder has to see none of this itself.
        """
        texts = (dumps(part) for part in (list(argv), policy, list(denied)))
        self.send("sandbox", label, *texts, complete, dict(counts))

    def ring(self) -> None:
        """Have the recorder read its messages now."""
        self.mark(self.label, ring=True)

    def finish(self) -> protocol.Message:
        """Have the recorder write all that it has: ("finished", ...). Raises RecorderError."""
        return self._answer(("finished",), "finish")

    def request(self, name: str, *parts: object) -> protocol.Message:
        """Send a message with a number, and wait for its answer: what that has after its name and number. Raises
        RecorderError where none comes."""
        with self._one_at_a_time:
            self._number += 1
            return self._answer((name, self._number), name, self._number, *parts)[2:]

    def open_block(self, base: int) -> int:
        """From now on, what is counted for the test with this base is counted for a block as well. Returns its number.
        Raises RecorderError."""
        with self._one_at_a_time:
            self.request("open", base)
            return self._number

    def close_block(self, number: int) -> tuple[dict[int, int], bool]:
        """What was counted for a block up to now, by call as in `ledger.Counts`, and whether it is certain that nothing
        is missing. Raises RecorderError."""
        counts, complete = self.request("close", number)
        return dict(counts), bool(complete)  # type: ignore[call-overload]

    def spawn(self, module: str, settings: protocol.Message, called: str) -> _socket.socket:
        """As `starting.start`, but by the recorder: the process is under no filter of ours. Raises RecorderError."""
        with self._one_at_a_time:
            self.request("spawn", starting.command(module))
            connection = Socket(fileno=self._calls.descriptors.pop())
            with connection:
                moved = starting.moved_up(connection, called)
            self._calls.send(moved.fileno(), protocol.encode(settings), wait=True)
            return moved

    @property
    def is_hidden(self) -> bool:
        """Whether a filter of the code under test hides from the recorder whose calls come. All of them are made as
        ever, also under a policy that was in force then."""
        return not self.alive and self.end == protocol.HIDDEN

    @property
    def descriptor(self) -> int:
        """That of the connection."""
        return self._descriptor

    @property
    def is_paused(self) -> bool:
        """Whether the recorder is told nothing for a while."""
        return self._paused

    @property
    def is_silent(self) -> bool:
        """Whether this is a child that the code under test has forked, of which the recorder is to hear nothing."""
        return self._silent

    def _answer(self, beginning: protocol.Message, *message: object) -> protocol.Message:
        """The answer to a message, which begins so: another one is to a request from which an exception has come out of
        a signal handler."""
        if self._silent:
            raise RecorderError("a child that the code under test has forked does not speak for its parent")
        with self._one_at_a_time:
            paused, self._paused = self._paused, False
            try:
                self.send(*message)
            finally:
                self._paused = paused
            self._ask()
            while self.alive:
                try:
                    data = self._calls.receive(self._descriptor)
                except OSError:  # ECONNRESET: killed with a message in its socket that it had not read; EBADF: closed
                    break
                if not data:
                    break
                for answer in self._decoder.feed(data):
                    if answer[: len(beginning)] == beginning:
                        return answer
                    if answer == protocol.AGAIN:
                        self._ask()
                if self._decoder.has_part:  # of an answer for which the socket had no room
                    self._ask()
            self.alive = False
            raise RecorderError(self.end)

    def _ask(self) -> None:
        label = labels.HARNESS if self._paused else self.label
        if self.alive and self._marks is not None and not self._marks.ask(label):
            self._is_not_answered()

    def _is_not_answered(self) -> None:
        """A marker was not: the recorder has died, or a filter of the code under test answers in its place."""
        self.alive = False
        if self._backend.READS_AT_ANY_TIME:
            return  # no answer depends on a marker
        try:
            self._calls.send(self._descriptor, b"")
        except OSError as error:
            if error.errno in _NOBODY_THERE:
                return
        self.end = protocol.HIDDEN

    def dismiss(self) -> None:
        """End the connection to a recorder that has nothing to record, and nobody to merge for."""
        if self._backend.READS_AT_ANY_TIME:
            self.send("merged")
        self.close()

    def close(self) -> None:
        """End the connection; a recorder without a listener ends with it, another goes on answering."""
        try:
            self._control.close()
        except OSError:
            pass  # EBADF: the code under test has closed it already


def start(settings: protocol.Settings, spawn: Spawn = starting.start, messages: int | None = None) -> Client:
    """Start a recorder and wait until it has found a backend that works; `messages` is their cookie where it is not
    that of the markers. Raises UnusableError where none can trace here, and RecorderError where it does not start."""
    control = spawn(starting.RECORDER, settings.message(), starting.CALLED)
    try:
        _module_of(settings.backend.split(",")[0])  # while the recorder looks whether it works
        match starting.wait_until_ready(control, protocol.Decoder(), starting.CALLED):
            case ("ready", str(backend), int(pid), list(notes), list(failures)):
                client = Client(control, settings.cookie, backend, messages)
                client.recorder = pid
                client.notes, client.failures = notes, _errors(failures)
                return client
            case ("unusable", list(failures)):
                raise UnusableError(_errors(failures))
            case answer:
                raise RecorderError(f"the recorder says what nobody understands: {answer!r}")
    except BaseException:
        control.close()
        raise


def _module_of(backend: str) -> ModuleType:
    return importlib.import_module(f"{backends.__name__}.{backend}")


def _errors(failures: list[tuple[str, str, str]]) -> list[tuple[str, BackendError]]:
    return [(name, BackendError(reason, remedy)) for name, reason, remedy in failures]
