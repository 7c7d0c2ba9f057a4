"""The recorder process: started for one pytest process, outlives it, and ends with the last traced process.

Run by `python -I -S` with the control socket as descriptor 3, and only the standard library at hand. It is no child of
pytest and in a session of its own; it holds none of pytest's descriptors but the control socket.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` and `socket` cost 13 ms at start
import _socket
import importlib
import os
import select

from pytest_seccomp.errors import BackendError
from pytest_seccomp.linux.process import Watched
from pytest_seccomp.recorder import labels, protocol
from pytest_seccomp.recorder.detached import detach, first_message
from pytest_seccomp.recorder.handover import Guard, end_stuck
from pytest_seccomp.recorder.ledger import Counts, Ledger
from pytest_seccomp.recorder.spool import Spool
from pytest_seccomp.recorder.standby import WAKE_SIGNAL

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable

_HANDOVER_SECONDS = 3
_END_MS = 1000


def main() -> None:
    """Detach from pytest, and record or keep watch."""
    recorder = Recorder(detach())
    recorder.run()
    recorder.wait_for_salvage()


class Recorder:
    """The host of a backend: the ledger, and the messages of pytest."""

    def __init__(self, control: _socket.socket) -> None:
        self.wakes: list[int] = []
        self._control = control
        self._decoder = protocol.Decoder()
        self._salvager = 0
        settings = protocol.Settings(*first_message(control, self._decoder))  # type: ignore[arg-type]
        self._salvage = settings.salvage
        self._settings = settings
        self._target = Watched(settings.target)
        self._ended = False
        self._ledger: Ledger | None = None

    def run(self) -> None:
        """Serve the backend until nobody is traced any more, or without a spool keep watch until pytest has ended."""
        settings = self._settings
        backend = importlib.import_module(f"pytest_seccomp.recorder.backends.{settings.backend}")
        try:
            backend.self_check()
        except BackendError as error:
            self._send(("unavailable", error.reason, error.remedy))
            return
        if settings.spool is None:
            self._send(("ready",))
            self._keep_watch()
            return
        try:
            spool = Spool(settings.spool)
        except OSError as error:
            self._send(("unavailable", f"cannot write {settings.spool}: {error.strerror}", "set TMPDIR"))
            return
        self._ledger = Ledger(spool, settings.worker, f'"{settings.backend}"')
        for number in (WAKE_SIGNAL, _signal.SIGCHLD):
            _signal.signal(number, lambda number, _frame: self.wakes.append(number))
        guard = Guard(settings.target, settings.salvage)
        listener = self._listener(backend.receive_listener)
        if listener is None:
            guard.release()
            self._look_after_target()
            return
        self._control.setblocking(False)
        self._supervisor = backend.Supervisor(listener, settings.cookie, settings.target, self)
        self._supervisor.start_standby(self._close_in_standby)
        guard.release()
        self._supervisor.serve(labels.HARNESS)
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
        self._supervisor.close()
        self._target_has_ended()

    def counts(self, label: int) -> Counts:
        """Where the calls of a label are counted."""
        return self._ledger.counts(label) if self._ledger is not None else {}

    def read_messages(self) -> int:
        """Handle what is on the control socket; returns the length of the answer that went over it, or 0."""
        answered = 0
        while True:
            try:
                data = self._control.recv(65536)
            except BlockingIOError:
                return answered
            if not data:
                if self._ledger is not None and not self._ended and not self._target.gone():
                    self._ledger.close([protocol.CLOSED])
                return answered
            for message in self._decoder.feed(data):
                answered += self._handle(message)

    def woken(self) -> None:
        """A child of ours has ended, or the standby says that the target has."""
        self.wakes.clear()
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            if pid == self._salvager:
                self._salvager = 0
            elif self._supervisor.is_standby(pid):
                self._supervisor.start_standby(self._close_in_standby)
        if self._target.gone():
            self._target_has_ended()
            self._supervisor.target_is_gone()

    def wait_for_salvage(self) -> None:
        """Wait for the process that merges in pytest's place, if there is one."""
        if self._salvager:
            _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
            os.waitpid(self._salvager, 0)

    def _handle(self, message: protocol.Message) -> int:
        ledger = self._ledger
        match message:
            case ("merged",):
                self._salvage = None
            case _ if ledger is None:
                raise ValueError(f"a message that a recorder without a backend does not know: {message!r}")
            case ("begin", int(base), str(nodeid), int(rerun)):
                ledger.begin(base, nodeid, rerun)
            case ("end", int(base), str(outcome)):
                ledger.end(base, outcome)
            case ("collected",):
                ledger.collected()
            case ("finish",):
                reasons: list[str] = []
                complete = ledger.close(reasons)
                return self._send(("finished", complete, ledger.lost, reasons))
            case _:
                raise ValueError(f"a message that the recorder does not know: {message!r}")
        return 0

    def _send(self, message: protocol.Message) -> int:
        data = protocol.encode(message)
        self._control.sendall(data)
        return len(data)

    def _listener(self, receive: Callable[[_socket.socket], tuple[int | None, str]]) -> int | None:
        """Wait for the listener; None where pytest has none, or has ended. pytest may have stopped at a system call in
        the middle of the hand-over, from which nobody can wake it: then it is ended, with a message."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        try:
            self._send(("ready",))
            if poll.poll(_HANDOVER_SECONDS * 1000):
                return receive(self._control)[0]
        except OSError:
            return None  # EPIPE, ECONNRESET: pytest has ended
        end_stuck(self._settings.target, f"no listener for {_HANDOVER_SECONDS} s")
        return None

    def _look_after_target(self) -> None:
        """After a hand-over that was none: where pytest lives on, its files are its own; where it was killed, ours."""
        self._control.setblocking(False)
        if self._target.descriptor is not None:
            poll = select.poll()
            poll.register(self._target.descriptor, select.POLLIN)
            poll.poll(_END_MS)
        if self._target.gone():
            self._target_has_ended()

    def _keep_watch(self) -> None:
        """The session that owns the trace has no recorder (an xdist controller): merge in its place if it is killed."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        if self._target.descriptor is not None:
            poll.register(self._target.descriptor, select.POLLIN)
        self._control.setblocking(False)
        while not self._target.gone():
            poll.poll(self._target.wait_ms())
            self.read_messages()
            if self._salvage is None:
                return
        self._target_has_ended()

    def _target_has_ended(self) -> None:
        """Write what is there, and have it merged if pytest did not come to that."""
        # From Linux 6.11 on an ending process is traced no more, then loses its descriptors, and only then is gone
        self._ended = True
        self.read_messages()
        if self._ledger is not None:
            self._ledger.close([f"pytest (process {self._settings.target}) ended before its session did"])
        if self._salvage is not None:
            self._salvager = os.posix_spawn(self._salvage[0], self._salvage, os.environ)
            self._salvage = None

    def _close_in_standby(self) -> None:
        self._control.close()
        if self._ledger is not None:
            self._ledger.forget()
