"""The recorder process: started for one pytest process, and outlives it.

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
from pytest_seccomp.recorder import protocol
from pytest_seccomp.recorder.detached import CONTROL, first_message, run
from pytest_seccomp.recorder.ledger import Counts, Ledger
from pytest_seccomp.recorder.outside import Outside
from pytest_seccomp.recorder.policies import Policies
from pytest_seccomp.recorder.refused import explained
from pytest_seccomp.recorder.spool import Spool, Unwritten

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable

_END_MS = 1000


def main() -> None:
    """Detach from pytest, and record or keep watch."""
    run(_record)


def _record(control: _socket.socket) -> None:
    recorder = Recorder(control)
    recorder.run()
    recorder.wait_for_salvage()


class Recorder:
    """The host of a backend: the ledger, and the messages of pytest.

    `control` is the socket to pytest, `target` is pytest. `closed` says that the socket's other end is, though pytest
    may go on.
    """

    def __init__(self, control: _socket.socket) -> None:
        self.control = control
        self._decoder = protocol.Decoder()
        self._unsent = b""
        self._salvager = 0
        self.settings = protocol.Settings(*first_message(control, self._decoder))  # type: ignore[arg-type]
        self._salvage = self.settings.salvage
        self.target = Watched(self.settings.target)
        self.policies = Policies()
        self.outside = Outside()
        self.closed = False
        self._ended = False
        self._ledger: Ledger | None = None
        self._failures: list[tuple[str, str, str]] = []
        self._ready: protocol.Message = ()

    def run(self) -> None:
        """Serve the backend until it has no more to do, or without a spool keep watch until pytest has ended."""
        settings = self.settings
        for name in settings.backend.split(","):
            backend = importlib.import_module(f"pytest_seccomp.recorder.backends.{name}")
            try:
                checked = backend.self_check()
            except (BackendError, OSError) as error:
                failure = explained(error)
                self._failures.append((name, failure.reason, failure.remedy))
            else:
                break
        else:
            self.send(("unusable", self._failures))
            return
        self._ready = ("ready", name, os.getpid(), checked.notes, self._failures)
        if settings.spool is None and not settings.unwritten:
            checked.close()
            try:
                self.ready()
            except OSError:
                pass  # pytest has ended, which is seen
            self._keep_watch()
            return
        try:
            spool = Unwritten() if settings.spool is None else Spool(settings.spool)
        except OSError as error:
            self.send(("unavailable", f"cannot write {settings.spool}: {error.strerror}", "set TMPDIR"))
            return
        self._ledger = Ledger(spool, settings.worker, f'"{name}"')
        backend.record(self, checked)

    def ready(self) -> None:
        """Tell pytest that it may come under the filter. Raises OSError where it has ended."""
        self.send(self._ready)

    @property
    def ledger(self) -> Ledger:
        """Where it is counted. For backends."""
        assert self._ledger is not None
        return self._ledger

    def counts(self, label: int) -> Counts:
        """Where the calls of a label are counted."""
        return self._ledger.counts(label) if self._ledger is not None else {}

    def read_messages(self) -> int:
        """Handle what is on the control socket; returns the length of the answer that went over it, or 0."""
        answered = sum([self.handle(message) for message in self.receive()])
        if self.closed:
            self.has_been_closed()
        return answered

    def receive(self) -> list[protocol.Message]:
        """What is on the control socket, which does not block."""
        self._send_rest()
        messages: list[protocol.Message] = []
        while True:
            try:
                data = self.control.recv(65536)
            except BlockingIOError:
                return messages
            except ConnectionResetError:
                data = b""  # closed with an answer in it that nobody has read
            if not data:
                self.closed = True
                return messages
            messages += self._decoder.feed(data)

    def has_been_closed(self) -> None:
        """Nothing more comes from pytest, which may go on: what is counted from now on has no name."""
        if self._ledger is not None and not self._ended and not self.target.gone():
            self._ledger.close([protocol.CLOSED])

    def children_that_ended(self) -> list[int]:
        """The pids of this process's children that have ended since it was asked last."""
        ended: list[int] = []
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return ended
            if not pid:
                return ended
            ended.append(pid)
            if pid == self._salvager:
                self._salvager = 0

    def look_at_target(self) -> bool:
        """Whether pytest has ended; then its files are written."""
        if not self.target.gone():
            return False
        self.target_has_ended()
        return True

    def wait_for_salvage(self) -> None:
        """Wait for the process that merges in pytest's place, if there is one."""
        if self._salvager:
            _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
            os.waitpid(self._salvager, 0)

    def handle(self, message: protocol.Message, reasons: Iterable[str] = ()) -> int:
        """Do what pytest asks for; returns the length of the answer, or 0. `reasons` are the backend's, at the end, for
        the trace to be incomplete."""
        ledger = self._ledger
        match message:
            case ("merged",):
                self._salvage = None
            case ("spawn", int(number), list(command)):
                return self._spawn(number, command)
            case _ if ledger is None:
                raise ValueError(f"a message that a recorder without a backend does not know: {message!r}")
            case ("begin", int(base), str(nodeid), int(rerun)):
                ledger.begin(base, nodeid, rerun)
            case ("end", int(base), str(outcome)):
                ledger.end(base, outcome)
                self.policies.end(base)
                self.outside.end(base)
            case ("policy", int(number), bytes(program), tuple(calls)):
                self.policies.define(number, program, calls)
            case ("under", int(label), tuple(numbers)):
                self.policies.put(label, numbers)
            case ("allowed", frozenset(calls)):
                self.outside = Outside(calls)
            case ("outside", int(number), tuple(labels)):
                return self._reply(("outside", number, self.outside.take(labels, ledger.counts)))
            case ("count", int(label), dict(counts)):
                ledger.add(label, counts)
            case ("counted", int(number), int(base)):
                return self._reply(("counted", number, ledger.of_test(base)))
            case ("denials", int(number), int(label)):
                return self._reply(("denials", number, *self.policies.take(label)))
            case ("open", int(number), int(base)):
                ledger.open_block(number, base)
                return self._reply(("open", number))
            case ("close", int(number), int(block)):
                return self._reply(("close", number, *ledger.close_block(block)))
            case ("sandbox", int(label), str(argv), str(policy), str(denied), bool(complete), dict(counts)):
                ledger.sandbox(label, argv, policy, denied, complete, counts)
                self.outside.note_sandbox(label, argv, counts)
            case ("collected",):
                ledger.collected()
            case ("finish",):
                told = list(reasons)
                complete = ledger.close(told)
                return self.send(("finished", complete, ledger.lost, told if ledger.unwritten else []))
            case _:
                raise ValueError(f"a message that the recorder does not know: {message!r}")
        return 0

    @property
    def has_no_more_to_do(self) -> bool:
        """Whether all is written and nobody has to be merged for."""
        return self._salvage is None and (self._ledger is None or self._ledger.closed)

    def send(self, message: protocol.Message) -> int:
        """Send a message to pytest; returns its length. Raises OSError where pytest has ended."""
        data = protocol.encode(message)
        self.control.sendall(data)
        return len(data)

    def pass_on(self, message: protocol.Message, descriptor: int) -> None:
        """Send a message to pytest, which waits for it, together with a descriptor. Raises OSError."""
        self.control.sendmsg([protocol.encode(message)], _passing(descriptor))

    def _spawn(self, number: int, command: list[str]) -> int:
        """Start a process of ours that is to be under no filter, and send pytest the other end of its socket."""
        ours, theirs = _socket.socketpair()
        actions = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), CONTROL)]
        pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsigdef=[_signal.SIGCHLD])
        try:
            os.waitpid(pid, 0)  # it goes on in a child
        except ChildProcessError:
            pass  # a backend has waited for it
        data = protocol.encode(("spawn", number))
        try:
            sent = self.control.sendmsg([data], _passing(ours.fileno()))
            self._unsent += data[sent:]
        except OSError:
            pass  # pytest has ended, or does not read its answers: it gets none
        finally:
            ours.close()
            theirs.close()
        return len(data)

    def _reply(self, message: protocol.Message) -> int:
        """Answer on the socket that does not block; returns the answer's length. pytest asks again for what does not
        fit now: it may not read before it is answered in another way."""
        data = protocol.encode(message)
        self._unsent += data
        self._send_rest()
        return len(data)

    def _send_rest(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self.control.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent = b""  # pytest has ended, and does not wait for it

    def look_after_target(self) -> None:
        """After a hand-over that was none: where pytest lives on, its files are its own; where it was killed, ours."""
        self.control.setblocking(False)
        self.wait_for_targets_end()
        if self.target.gone():
            self.target_has_ended()

    def wait_for_targets_end(self) -> None:
        """Wait, for a while, until pytest is gone: where it is process 1, all of ours end with it, and what one of them
        had begun in its place would be half done."""
        if self.target.descriptor is not None:
            poll = select.poll()
            poll.register(self.target.descriptor, select.POLLIN)
            poll.poll(_END_MS)

    def _keep_watch(self) -> None:
        """The session that owns the trace has no recorder (an xdist controller): merge in its place if it is killed."""
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        if self.target.descriptor is not None:
            poll.register(self.target.descriptor, select.POLLIN)
        self.control.setblocking(False)
        while not self.target.gone():
            poll.poll(self.target.wait_ms())
            self.read_messages()
            if self._salvage is None:
                return
        self.target_has_ended()

    def target_has_ended(self) -> None:
        """Write what is there, and have it merged if pytest did not come to that."""
        # From Linux 6.11 on an ending process is traced no more, then loses its descriptors, and only then is gone
        self._ended = True
        self.read_messages()
        self.policies.end_all()
        if self._ledger is not None:
            self._ledger.close([f"pytest (process {self.settings.target}) ended before its session did"])
        if self._salvage is not None:
            self._salvager = os.posix_spawn(self._salvage[0], self._salvage, os.environ)
            self._salvage = None

    def close_in_child(self) -> None:
        """Let go, in a process that was forked from this one, of what only this one may hold."""
        self.control.close()
        if self._ledger is not None:
            self._ledger.forget()


def _passing(descriptor: int) -> list[tuple[int, int, bytes]]:
    return [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptor.to_bytes(4, "little"))]
