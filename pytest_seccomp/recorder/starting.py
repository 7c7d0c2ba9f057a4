"""pytest's side: starting a process of ours that is no child of pytest, and the socket that connects the two.

`detached` is what the process does first.
"""

import _socket
import errno
import fcntl
import os
import resource
import signal
import sys
from pathlib import Path

from pytest_seccomp.errors import BackendError, RecorderError
from pytest_seccomp.linux.sockets import Socket, stream_pair
from pytest_seccomp.recorder import protocol
from pytest_seccomp.recorder.detached import CONTROL
from pytest_seccomp.recorder.refused import explained

_PACKAGES = str(Path(__file__).resolve().parents[2])
_START = "import sys; sys.path.append({packages!r}); from {module} import main; main()"

_HIGHEST_DESCRIPTOR = 1023

_READY_SECONDS = 60

RECORDER, CALLED = "pytest_seccomp.recorder.process", "the recorder"
"""Its module, and what it is called in messages."""


def command(module: str) -> list[str]:
    """What runs `main` of a module in a Python of its own, with its control socket as descriptor 3."""
    return [sys.executable, "-I", "-S", "-c", _START.format(packages=_PACKAGES, module=module)]


def start(module: str, settings: protocol.Message, called: str) -> _socket.socket:
    """Start `main` of a module, `called` so in messages, with its first message; returns the socket to it. Raises
    RecorderError."""
    # Before it starts, so that it knows what is left to it where pytest is killed meanwhile
    return _forked(*_spawned(module, called, protocol.encode(settings)), called)


class Begun:
    """A process of ours that starts while pytest imports what it takes to know what that process is to do."""

    def __init__(self, module: str, called: str) -> None:
        """Start `main` of a module, `called` so in messages. Where that fails, `start` will say so."""
        self._module = module
        self._process: tuple[_socket.socket, int] | None
        try:
            self._process = _spawned(module, called)
        except RecorderError:
            self._process = None

    def start(self, module: str, settings: protocol.Message, called: str) -> _socket.socket:
        """As the function `start`: the first time, and for this module, it is the process that has begun."""
        if self._process is None or module != self._module:
            return start(module, settings, called)
        control, pid = self._process
        try:
            control.sendall(protocol.encode(settings))
        except ConnectionError:
            pass  # it has ended, and may have said why
        except OSError as error:
            raise _refused(called, error) from error
        self._process = None
        return _forked(control, pid, called)

    def close(self) -> None:
        """A process that was told nothing ends."""
        if self._process is not None:
            control, pid = self._process
            control.close()
            try:
                _wait_for(pid)
            except OSError:
                pass  # refused, and whatever else failed is what the user is told


def _spawned(module: str, called: str, message: bytes = b"") -> tuple[_socket.socket, int]:
    """The socket to a process that starts, with a message in it, and the pid. Raises RecorderError."""
    if not sys.executable:
        raise RecorderError(f"cannot start {called}: this Python does not know its own executable (sys.executable)")
    ours, theirs = connected(called)
    try:
        ours.sendall(message)
        pid = os.posix_spawn(
            sys.executable,
            command(module),
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), CONTROL),
            ],
            setsigmask=[],
            setsigdef=[signal.SIGCHLD],  # ignored from somebody's nohup or cron on, it would hide a child's end
        )
    except OSError as error:
        ours.close()
        raise _refused(called, error) from error
    finally:
        theirs.close()
    return ours, pid


def _forked(control: _socket.socket, pid: int, called: str) -> _socket.socket:
    """The first process forks another and ends, so that pytest has no child that its tests would find: the socket to
    that one. Raises RecorderError."""
    try:
        status = _wait_for(pid)
    except OSError as error:
        control.close()
        raise _refused(called, error) from error
    if status:
        control.close()
        raise RecorderError(f"{called} did not start: {_how_it_ended(status)}")
    return control


def wait_until_ready(control: _socket.socket, decoder: protocol.Decoder, called: str) -> protocol.Message:
    """Wait until the process has found out whether it can do its work: returns what it says then. Raises BackendError
    with its reason, or RecorderError."""
    control.settimeout(_READY_SECONDS)
    while True:
        try:
            data = control.recv(65536)
        except TimeoutError:
            raise RecorderError(f"{called} was not ready within {_READY_SECONDS} s") from None
        except ConnectionResetError:
            data = b""
        except OSError as error:
            raise _refused(called, error) from error
        if not data:
            raise RecorderError(f"{called} ended before it was ready: run again, or ask pytest-seccomp doctor")
        for answer in decoder.feed(data):
            if answer[0] == "unavailable":
                raise BackendError(str(answer[1]), str(answer[2]))
            if answer[0] == "refused":
                raise RecorderError(f"cannot start {called}: {answer[1]}: {answer[2]}")
            control.settimeout(None)
            return answer


def _wait_for(pid: int) -> int:
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:
        return 0  # SIGCHLD is ignored: it has ended, and nobody knows how


def connected(called: str) -> tuple[Socket, Socket]:
    """Two connected sockets under numbers that pytest and its tests do not come by: they get the descriptors that they
    get without us, and one that closes ours by mistake is not likely to open another under the same number. Raises
    RecorderError."""
    try:
        ours, theirs = stream_pair()
        with ours, theirs:
            # Messages and descriptors come by these calls. Refused later on, each would look like the end of a process
            ours.sendmsg([b"1"])
            theirs.recvmsg(1)
            moved = moved_up(ours, called)
            try:
                return moved, moved_up(theirs, called)
            except (OSError, RecorderError):
                moved.close()
                raise
    except OSError as error:
        raise _refused(called, error) from error


def moved_up(connection: _socket.socket, called: str) -> Socket:
    """A copy under a high number. Raises RecorderError."""
    limit = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], _HIGHEST_DESCRIPTOR + 1)
    for number in range(limit - 8, CONTROL, -64):
        try:
            descriptor = fcntl.fcntl(connection.fileno(), fcntl.F_DUPFD_CLOEXEC, number)
        except OSError:
            continue
        return Socket(fileno=descriptor)
    raise _no_descriptor(called)


def _no_descriptor(called: str) -> RecorderError:
    return RecorderError(f"no free file descriptor for the socket of {called}: raise the limit (ulimit -n)")


def _refused(called: str, error: OSError) -> RecorderError:
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return _no_descriptor(called)
    return RecorderError(f"cannot start {called}: {explained(error)}")


def _how_it_ended(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"{sys.executable} -I -S ended with status {os.WEXITSTATUS(status)}"
