"""The host of sandboxes: a fork server for one pytest process, which forks a supervisor for each sandbox.

No child of pytest, under no filter of ours, with all imported that a supervisor needs, so that a sandbox costs a fork
and no start of Python. It adopts what a supervisor that was killed leaves behind, and ends it. It ends with pytest,
when its supervisors have ended.

Run by `python -I -S` with the control socket as descriptor 3.
"""

import _socket
import gc
import os
import select
import signal

from pytest_seccomp.linux.messages import Messages
from pytest_seccomp.linux.parent import adopt_orphans
from pytest_seccomp.linux.process import Watched
from pytest_seccomp.recorder import protocol
from pytest_seccomp.recorder.detached import run
from pytest_seccomp.sandbox import paths
from pytest_seccomp.sandbox.connection import Connection
from pytest_seccomp.sandbox.ending import end_descendants
from pytest_seccomp.sandbox.streams import limit_waiting, stream_pair
from pytest_seccomp.sandbox.supervisor import Supervisor

_AGAIN_MS = 5


def main() -> None:
    """Detach from pytest and serve it."""
    run(_serve)


def _serve(connected: _socket.socket) -> None:
    control = Connection(connected.fileno())
    first: list[protocol.Message] = []
    while not (first or control.closed):
        first = control.receive(wait=True)
    if first:
        (pid,), *requests = first
        assert isinstance(pid, int)
        Host(control, pid).serve(requests)


class Host:
    """Serves the pytest process `target`."""

    def __init__(self, control: Connection, target: int) -> None:
        self._control = control
        self._target = Watched(target)
        self._supervisors: set[int] = set()
        self._wakes, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._strays = False
        """Whether a supervisor was killed, and what it had may live."""

    def serve(self, requests: list[protocol.Message]) -> None:
        """Fork supervisors, first for these requests, until pytest has ended or let go of us, and all of them have."""
        adopt_orphans()
        paths.prepare()
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        gc.disable()
        gc.freeze()  # pages that a collection would write to are not shared any more
        self._handle(requests)
        poll = select.poll()
        for descriptor in (self._control.descriptor, self._wakes, self._target.descriptor):
            if descriptor is not None:
                poll.register(descriptor, select.POLLIN)
        gone = False
        while self._supervisors or self._strays or not (gone or self._control.closed):
            timeout = _AGAIN_MS if self._strays else None if gone else self._target.wait_ms()
            for descriptor, _ in poll.poll(timeout):
                if descriptor == self._wakes:
                    _empty(self._wakes)
                elif descriptor == self._control.descriptor:
                    self._handle(self._control.receive())
                    if self._control.closed:
                        poll.unregister(descriptor)
            if not gone and self._target.gone():
                gone = True
                if self._target.descriptor is not None:
                    poll.unregister(self._target.descriptor)
            self._strays = self._strays and end_descendants(self._supervisors)
            self._wait_for_children()

    def _handle(self, requests: list[protocol.Message]) -> None:
        for message in requests:
            match message:
                case ("sandbox", int(n), int(patience)):
                    self._fork(n, patience)

    def _fork(self, n: int, patience: int) -> None:
        try:
            requests, news = stream_pair(), stream_pair()
            limit_waiting(requests[0], patience)
        except OSError as error:
            self._control.send(("refused", n, f"no socket for a sandbox: {error.strerror}"))
            return
        try:
            pid = os.fork()
        except OSError as error:
            self._control.send(("refused", n, f"no process for a sandbox: {error.strerror}"))
        else:
            if not pid:
                self._become_supervisor(requests, news)
            self._supervisors.add(pid)
            try:
                made = protocol.encode(("sandbox", n, pid, os.getpid()))
                Messages().send(self._control.descriptor, made, [requests[0], news[0]])
            except OSError:
                self._control.closed = True
        finally:
            for descriptor in (*requests, *news):
                os.close(descriptor)

    def _become_supervisor(self, requests: tuple[int, int], news: tuple[int, int]) -> None:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for descriptor in (requests[0], news[0], self._control.descriptor, self._wakes, self._wake):
                os.close(descriptor)
            Supervisor(requests[1], news[1], self._target).run()
            status = 0
        finally:
            os._exit(status)

    def _wait_for_children(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid in self._supervisors:
                self._supervisors.remove(pid)
                self._strays = self._strays or status != 0


def _empty(pipe: int) -> None:
    try:
        while os.read(pipe, 4096):
            pass
    except BlockingIOError:
        pass
