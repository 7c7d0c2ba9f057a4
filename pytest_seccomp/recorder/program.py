"""Recording one program and all that it starts: the side of the process that starts it and waits for it.

This process is under no filter. It forks one that comes under it and becomes the program (`program_child`), which
leaves another one behind (`program_bell`).
"""

import os
import signal
from collections.abc import Iterable

from pytest_seccomp.errors import BackendError, RecorderError, UnusableError
from pytest_seccomp.linux.parent import adopt_orphans
from pytest_seccomp.linux.proc import Processes
from pytest_seccomp.linux.sockets import Socket
from pytest_seccomp.recorder import client, protocol
from pytest_seccomp.recorder.program_child import Parts, become
from pytest_seccomp.recorder.starting import connected

_CALLED = "the program"

_ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


class CannotExecute(Exception):
    """The kernel does not execute the program; `errno` says why."""

    def __init__(self, errno: int) -> None:
        super().__init__(errno)
        self.errno = errno


class TracedProgram:
    """A program that runs, and is recorded."""

    def __init__(self, pid: int, connection: client.Client, messages: Socket, helpers: frozenset[int]) -> None:
        self.pid = pid
        self.backend = connection.backend
        self.notes = connection.notes
        """What the user should know of the backend."""
        self.failures = connection.failures
        """By name, the backends that were to be preferred and do not work here."""
        self._messages = messages
        self._decoder = protocol.Decoder()
        self._helpers = helpers
        """Children of this process that are ours: the bell and, where orphans come to this process, the recorder."""

    @classmethod
    def start(
        cls,
        path: bytes,
        argv: list[bytes],
        name: str,
        settings: protocol.Settings,
        mask: Iterable[signal.Signals],
    ) -> "TracedProgram":
        """Start it under a new recorder. `name` is what stands in the place of a test's id, as JSON; `mask` are the
        signals that the program is to find blocked.

        From now on orphans of its descendants come to this process, which has to wait for them. Raises CannotExecute,
        UnusableError where the backend does not work here, or RecorderError.
        """
        connection = client.start(settings)
        if signal.sigpending() & set(_ENDING):  # which came before there was a program to get it
            connection.dismiss()
            raise RecorderError("a signal has ended it before the program was started: start it again")
        adopt_orphans()
        # Not under the numbers of standard streams, where one of those is closed
        news, their_news = connected(_CALLED)
        messages, their_messages = connected(_CALLED)
        with news:
            with their_news, their_messages:
                parent = os.getpid()
                parts = Parts(path, argv, name, connection, settings.cookie, their_messages, their_news, set(mask))
                pid = os.fork()
                if not pid:
                    news.close()
                    messages.close()
                    become(parts, parent)
            try:
                program = cls(pid, connection, messages, _started(pid, news, messages))
            except BaseException:
                messages.close()
                os.waitpid(pid, 0)
                connection.dismiss()
                raise
        connection.close()  # the bell has it
        return program

    def others(self) -> list[int]:
        """The processes that the program has left to this one, which go on without it."""
        return [child for child in _children() if child != self.pid and child not in self._helpers]

    def finish(self, outcome: str | None) -> list[str]:
        """End the recording. Returns the reasons for the trace to be incomplete that are not in the spool."""
        try:
            message = _ask(self._messages, self._decoder, ("end", outcome))
        except RecorderError as error:
            return [str(error)]
        return [str(reason) for reason in message[1]]  # type: ignore[attr-defined]

    def merged(self) -> None:
        """The trace is written, or will not be: nobody has to do that in place of this process."""
        with self._messages:
            try:
                self._messages.sendall(protocol.encode(("merged",)))
                self._messages.recv(1)  # until it has ended
            except OSError:
                pass  # it was killed, as `finish` has found out


def _children() -> list[int]:
    """Of this process. Not from /proc/PID/task/TID/children, which not every kernel has."""
    processes, own = Processes(), os.getpid()
    stats = ((pid, processes.stat(pid)) for pid in processes.all())
    return [pid for pid, stat in stats if stat is not None and stat.parent == own]


def _started(pid: int, news: Socket, messages: Socket) -> frozenset[int]:
    """Let the child go on when all is ready; returns the children of this process that are not the program's."""
    decoder = protocol.Decoder()
    _expect(_receive(news, decoder), ("ready",))
    _ask(messages, protocol.Decoder(), ("warm",))
    helpers = frozenset(_children()) - {pid}
    news.sendall(b"1")
    failure = _receive(news, decoder)
    if failure is not None:
        _expect(failure, None)
    return helpers


def _receive(news: Socket, decoder: protocol.Decoder) -> protocol.Message | None:
    """The next message, None at the end of the stream."""
    while True:
        try:
            data = news.recv(65536)
        except ConnectionResetError:
            return None
        if not data:
            return None
        for message in decoder.feed(data):
            return message


def _expect(message: protocol.Message | None, expected: protocol.Message | None) -> None:
    """Raise what another message tells."""
    if message == expected:
        return
    match message:
        case ("refused", list(failures)):
            raise UnusableError([(name, BackendError(reason, remedy)) for name, reason, remedy in failures])
        case ("failed", int(code)):
            raise CannotExecute(code)
        case ("broken", text):
            raise RecorderError(f"the program was not started: {text}")
        case _:
            raise RecorderError("the program was not started: the process that was to become it was killed")


def _ask(messages: Socket, decoder: protocol.Decoder, message: protocol.Message) -> protocol.Message:
    try:
        messages.sendall(protocol.encode(message))
    except OSError:
        pass  # it was killed, and there is no answer
    answer = _receive(messages, decoder)
    if answer is None:
        raise RecorderError("a process of the recorder was killed: what was traced after that may be missing")
    return answer
