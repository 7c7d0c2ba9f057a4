"""pytest's side: starting a recorder, coming under its filter, and talking to it.

While a backend traces this thread, nothing here makes a system call that would be in the trace: messages and markers
carry the cookie.
"""

import errno
import fcntl
import os
import resource
import signal
import socket
import sys
from pathlib import Path

from pytest_seccomp.errors import BackendError, RecorderError
from pytest_seccomp.linux.marked import MarkedCalls
from pytest_seccomp.recorder import labels, protocol
from pytest_seccomp.recorder.backends import notify
from pytest_seccomp.recorder.process import CONTROL

_PACKAGES = str(Path(__file__).resolve().parents[2])
_START = "import sys; sys.path.append({packages!r}); from pytest_seccomp.recorder.process import main; main()"

_HIGHEST_DESCRIPTOR = 1023

_READY_SECONDS = 60


class Client:
    """One traced process's connection to its recorder.

    `alive` turns false when the recorder has died: the standby lets every call pass then, and nothing is recorded any
    more. `end` says in words what has happened.
    """

    def __init__(self, control: socket.socket, cookie: int) -> None:
        self._control = control
        self._descriptor = control.fileno()
        self._decoder = protocol.Decoder()
        self._calls = MarkedCalls(cookie)
        self._cookie = cookie
        self._attached = False
        self._silent = False
        self.alive = True
        self.end = "the recorder died: what was traced after that is not recorded"
        self.label = labels.HARNESS

    def wait_until_ready(self) -> None:
        """Wait for the recorder's self-check. Raises BackendError with its reason, or RecorderError."""
        self._control.settimeout(_READY_SECONDS)
        while True:
            try:
                data = self._control.recv(65536)
            except TimeoutError:
                raise RecorderError(f"the recorder was not ready within {_READY_SECONDS} s") from None
            except OSError:
                data = b""
            if not data:
                raise RecorderError("the recorder ended before it was ready: run again, or ask pytest-seccomp doctor")
            for answer in self._decoder.feed(data):
                if answer[0] == "unavailable":
                    raise BackendError(str(answer[1]), str(answer[2]))
                self._control.settimeout(None)
                return

    def attach(self) -> None:
        """Come under the filter, with this thread and all that it starts. Raises BackendError."""
        notify.attach(self._calls, self._cookie, self._descriptor)
        self._attached = True
        os.register_at_fork(after_in_child=self._in_a_child)
        self.mark(labels.HARNESS)

    def _in_a_child(self) -> None:
        """A child that the code under test has forked says nothing to the recorder, also where it comes back into
        pytest, as sys.exit() in a test does, and runs the rest of the session a second time. One that pytest itself has
        forked speaks for it (pytest-forked)."""
        if self.label != labels.HARNESS:
            self._silent, self._attached = True, False

    def mark(self, label: int, operation: int = 0) -> None:
        """From here on calls count for another label."""
        self.label = label
        if self.alive and self._attached:
            self.alive = self._calls.mark(label, operation) is not None

    def send(self, *message: object) -> None:
        """Send a message, which the recorder of a traced process reads at the next `ring` or `request`."""
        data = b"" if self._silent else protocol.encode(message)
        while data and self.alive:
            try:
                data = data[self._calls.send(self._descriptor, data) :]
            except BlockingIOError:
                self.ring()
            except OSError as error:
                if error.errno in (errno.EBADF, errno.ENOTSOCK):
                    self.ring()  # markers need no descriptor: the recorder finds the end of the connection
                    self.end = protocol.CLOSED
                self.alive = False

    def ring(self) -> None:
        """Have the recorder read its messages now."""
        self.mark(self.label, notify.RING)

    def request(self, *message: object) -> protocol.Message:
        """Send a message and wait for its answer. Raises RecorderError where none comes."""
        if self._silent:
            raise RecorderError("a child that the code under test has forked does not speak for its parent")
        self.send(*message)
        self.ring()
        while self.alive:
            data = self._calls.receive(self._descriptor)
            if not data:
                break
            for answer in self._decoder.feed(data):
                return answer
        self.alive = False
        raise RecorderError(self.end)

    def close(self) -> None:
        """End the connection; a recorder without a listener ends with it, another goes on answering."""
        try:
            self._control.close()
        except OSError:
            pass  # EBADF: the code under test has closed it already


def start(settings: protocol.Settings) -> Client:
    """Start a recorder and wait until it is ready. Raises BackendError where its backend cannot trace here, and
    RecorderError where it does not start."""
    if not sys.executable:
        raise RecorderError("cannot start the recorder: this Python does not know its own executable (sys.executable)")
    ours, theirs = _connection()
    command = [sys.executable, "-I", "-S", "-c", _START.format(packages=_PACKAGES)]
    # Before it starts, so that it knows what is left to it where pytest is killed meanwhile
    ours.sendall(protocol.encode(settings.message()))
    try:
        pid = os.posix_spawn(
            sys.executable,
            command,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), CONTROL),
            ],
            setsigmask=[],
            setsigdef=[signal.SIGCHLD],  # ignored from somebody's nohup or cron on, it would hide the standby's end
        )
    except OSError as error:
        ours.close()
        raise RecorderError(f"cannot start the recorder: {sys.executable}: {error.strerror}") from error
    finally:
        theirs.close()
    client = Client(ours, settings.cookie)
    try:
        # The first process forks the recorder and ends, so that pytest has no child that its tests would find
        status = _wait_for(pid)
        if status:
            raise RecorderError(f"the recorder did not start: {_how_it_ended(status)}")
        client.wait_until_ready()
    except BaseException:
        client.close()
        raise
    return client


def _wait_for(pid: int) -> int:
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:
        return 0  # SIGCHLD is ignored: it has ended, and nobody knows how


def _connection() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets under numbers that pytest and its tests do not come by: they get the descriptors that they
    get without us, and one that closes ours by mistake is not likely to open another under the same number."""
    try:
        ours, theirs = socket.socketpair()
    except OSError as error:
        raise _no_descriptor() from error
    with ours, theirs:
        moved = _moved_up(ours)
        try:
            return moved, _moved_up(theirs)
        except RecorderError:
            moved.close()
            raise


def _moved_up(connection: socket.socket) -> socket.socket:
    limit = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], _HIGHEST_DESCRIPTOR + 1)
    for number in range(limit - 8, CONTROL, -64):
        try:
            return socket.socket(fileno=fcntl.fcntl(connection.fileno(), fcntl.F_DUPFD_CLOEXEC, number))
        except OSError:
            continue
    raise _no_descriptor()


def _no_descriptor() -> RecorderError:
    return RecorderError("no free file descriptor for the recorder's socket: raise the limit (ulimit -n)")


def _how_it_ended(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"{sys.executable} -I -S ended with status {os.WEXITSTATUS(status)}"
