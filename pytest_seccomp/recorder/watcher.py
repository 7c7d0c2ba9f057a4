"""The watcher of the kernel's log: started for one pytest process, ends with it, and writes what is left then.

A process of its own, also beside a recorder: that one waits in the kernel for the next call. It is started before
pytest comes under any filter of ours, and has none itself.
"""

from __future__ import annotations

import _socket
import os
import select

from pytest_seccomp.errors import BackendError
from pytest_seccomp.linux import cgroup
from pytest_seccomp.linux.proc import in_initial_pid_namespace
from pytest_seccomp.linux.process import Watched
from pytest_seccomp.recorder import protocol, watching
from pytest_seccomp.recorder.channel import Channel
from pytest_seccomp.recorder.detached import first_message, run
from pytest_seccomp.recorder.scope import Scope
from pytest_seccomp.recorder.spool import Spool
from pytest_seccomp.recorder.tally import Tally

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from pytest_seccomp.recorder.tally import Denial

_END_MS = 1000
_ANSWER_SECONDS = 10

_WITHOUT = (
    "without it, --seccomp-deny-source=supervised has what sandboxes and policies of tests deny, and --seccomp-trace "
    "shows the calls but not what becomes of them"
)
_OTHER_PIDS = (
    "pids in the kernel's log are those of the initial pid namespace, and this process is in another one: only what "
    "shares pytest's audit session can be told from others"
)
_BY_PID = (
    "pytest has no audit session of its own (that takes CAP_AUDIT_CONTROL): processes are told apart by /proc, which "
    "does not know those that ended at once"
)


def main() -> None:
    """Detach from pytest, and watch."""
    run(lambda control: Watcher(control).run())


class Watcher:
    """What is denied, and to whom it is told: pytest, or the spool when pytest has died."""

    def __init__(self, control: _socket.socket) -> None:
        self._control = control
        self._decoder = protocol.Decoder()
        self._settings = watching.Settings(*first_message(control, self._decoder))  # type: ignore[arg-type]
        self._target = Watched(self._settings.target)
        watches = bool(self._settings.sources)
        self._scope = Scope(session=self._settings.session) if watches and in_initial_pid_namespace() else None
        self._tally = Tally(self._settings.session, self._scope)
        self._channel: Channel | None = None
        self._source = "" if watches else watching.SUPERVISED
        self._refused: list[str] = []
        """Why better sources are not used."""
        self._spool: Spool | None = None
        self._phase: tuple[str, str, int] = ("null", "collection", 0)
        self._told: list[tuple[tuple[str, str, int], Denial]] = []
        """What pytest was told, and where it was then, since it wrote what it has judged: it may die in between."""
        self._untold: list[str] = []
        """Why what is told next may not be all, as far as it is known already."""
        self._reasons: list[str] = []
        self._connected = True
        self._merged = False

    def run(self) -> None:
        """Serve pytest until it has ended or needs us no more."""
        settings = self._settings
        try:
            self._channel = self._open()
            if settings.spool is not None:
                self._spool = _spool(settings.spool)
        except BackendError as error:
            self._answer("unavailable", error.reason, error.remedy)
            return
        notes: list[str] = []
        if self._channel is not None:
            self._source = self._channel.source
            notes = [*self._refused, *self._channel.notes]
            if self._spool is None:  # it was to be checked only
                self._channel.close()
                self._channel = self._scope = None
            elif settings.session is None:
                notes.append(_BY_PID)
        self._answer("ready", self._source, notes)
        self._serve()
        if self._target.gone():
            self._target_has_ended()

    def _open(self) -> Channel | None:
        settings = self._settings
        if not settings.sources:
            return None
        if self._scope is not None:
            try:
                self._scope.add(settings.target)
            except ProcessLookupError:
                raise SystemExit from None  # pytest has ended already
        elif settings.session is None and settings.spool is not None:
            raise BackendError(_OTHER_PIDS, f"give pytest CAP_AUDIT_CONTROL; {_WITHOUT}")
        errors: list[tuple[str, BackendError]] = []
        for source in settings.sources:
            try:
                channel = Channel(source, self._tally.add, self._close_in_sentinel)
            except BackendError as error:
                errors.append((source, error))
            else:
                self._tally.take()  # was denied before the run
                self._refused = [f"not by {other}: {error.reason}" for other, error in errors]
                return channel
        raise BackendError(
            "the kernel's log cannot be read: " + "; ".join([f"{source}: {error.reason}" for source, error in errors]),
            "; ".join([f"{source}: {error.remedy}" for source, error in errors] + [_WITHOUT]),
        )

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        if self._target.descriptor is not None:
            poll.register(self._target.descriptor, select.POLLIN)
        if self._channel is not None:
            poll.register(self._channel.descriptor, select.POLLIN)
        while not self._merged and not self._target.gone():
            ready = [descriptor for descriptor, _ in poll.poll(self._wait_ms())]
            if self._channel is not None and self._channel.descriptor in ready:
                self._channel.receive()
            if self._control.fileno() in ready:
                self._read_messages()
                if not self._connected:
                    poll.unregister(self._control)
                    self._is_closed()
            if self._scope is not None and self._scope.refresh_ms() == 0:
                self._scope.refresh()

    def _wait_ms(self) -> int | None:
        waits = [self._target.wait_ms(), None if self._scope is None else self._scope.refresh_ms()]
        return min([wait for wait in waits if wait is not None], default=None)

    def _read_messages(self) -> bool:
        """Handle some of what is on the control socket, without waiting; returns whether there was something."""
        try:
            data = self._control.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            data = b""  # ECONNRESET: closed, with an answer unread
        if not data:
            self._connected = False
        for message in self._decoder.feed(data):
            self._handle(message)
        return self._connected

    def _handle(self, message: protocol.Message) -> None:
        match message:
            case ("phase", str(nodeid), str(phase), int(rerun)):
                self._phase = (nodeid, phase, rerun)
            case ("write", str(lines)):
                self._told.clear()
                if self._spool is not None:
                    self._spool.write(lines)
            case (("sync" | "finish") as request, int(number)):
                denials, reasons = self._seen(last=request == "finish")
                self._answer("seen", number, denials, reasons)
            case ("add", int(number), int(pid), (str() | None) as cgroup_path):
                self._answer("added", number, self._add(pid, cgroup_path))
            case ("remove", int(number), int(pid)):
                self._remove(pid)
                self._answer("removed", number)
            case ("close", int(number), reasons):
                self._reasons += reasons
                self._answer("closed", number, self._close_spool())
            case ("merged",):
                self._merged = True
            case _:
                raise ValueError(f"a message that the watcher does not know: {message!r}")

    def _seen(self, *, last: bool) -> tuple[list[Denial], list[str]]:
        """All that was denied up to now, and why it may not be all."""
        self._catch_up()
        denials, reasons = self._tally.take()
        self._told += [(self._phase, denial) for denial in denials]
        reasons, self._untold = [*self._untold, *reasons], []
        if last and self._channel is not None:
            reasons += self._channel.conditions()
        self._reasons += [reason for reason in reasons if reason not in self._reasons]
        return denials, reasons

    def _catch_up(self) -> None:
        """Judge what the kernel has logged up to now, before it is told, or other targets count."""
        if self._channel is not None:
            self._untold += self._channel.sync()
        elif self._settings.sources:
            self._untold.append("nothing is watched")

    def _add(self, pid: int, cgroup_path: str | None) -> str | None:
        if not self._settings.sources:
            return None  # nobody asked for what the kernel's log says of it
        if self._scope is None:
            return _OTHER_PIDS
        self._catch_up()
        try:
            self._scope.add(pid, None if cgroup_path is None else cgroup.find(cgroup_path))
        except OSError as error:
            return str(error)
        return None

    def _remove(self, pid: int) -> None:
        if self._scope is not None:
            self._catch_up()
            self._scope.remove(pid)

    def _is_closed(self) -> None:
        """The connection has ended: with pytest, or the code under test has closed it."""
        if self._target.descriptor is not None:
            poll = select.poll()
            poll.register(self._target.descriptor, select.POLLIN)
            poll.poll(_END_MS)
        if not self._target.gone():
            # Nobody asks any more, and at the end of the session nobody should have to wait for the spool
            self._seen(last=True)
            self._reasons.append(watching.CLOSED)
            self._close_spool()
            self._control.close()

    def _target_has_ended(self) -> None:
        """Write what pytest has not come to judge, and have it merged in its place."""
        while self._connected and self._read_messages():
            pass
        if self._spool is not None:
            self._seen(last=True)
            self._reasons.append(f"pytest (process {self._settings.target}) ended before its session did")
            self._close_spool()
        if self._channel is not None:
            self._channel.close()
        if self._settings.salvage is not None and not self._merged:
            self._control.close()
            os.execv(self._settings.salvage[0], self._settings.salvage)

    def _write_unjudged(self, spool: Spool) -> None:
        for (nodeid, phase, rerun), denial in self._told:
            audit_arch, syscall, action, pid, comm, exe, count = denial
            members = {
                "kind": "denial",
                "nodeid": _from_json(nodeid),
                "phase": phase,
                "rerun": rerun,
                "worker": _from_json(self._settings.worker),
                "arch": audit_arch,
                "syscall": syscall,
                "count": count,
                "action": action,
                "errno": None,
                "pid": pid,
                "comm": _text(comm),
                "exe": None if exe is None else _text(exe),
                "args": None,
                "source": self._source,
                "expected": False,
            }
            spool.write(_json(members))

    def _close_spool(self) -> bool:
        """Write what has not been judged, and the spool's end; returns whether it is complete."""
        spool, self._spool = self._spool, None
        if spool is None:
            return False
        self._write_unjudged(spool)
        spool.check()
        reasons = [*self._reasons, *filter(None, [spool.error])]
        spool.write(_json({"kind": "end", "complete": not reasons, "reasons": reasons}))
        spool.close()
        return not reasons and spool.error is None

    def _answer(self, *message: object) -> None:
        # Who has stopped reading is not waited for without end: pytest may have been killed, and a child of it that was
        # forked may hold the other end of the connection
        self._control.settimeout(_ANSWER_SECONDS)
        try:
            self._control.sendall(protocol.encode(message))
            self._control.setblocking(False)
        except OSError:
            self._connected = False  # pytest has ended

    def _close_in_sentinel(self) -> None:
        self._control.close()
        if self._spool is not None:
            self._spool.forget()


def _spool(path: str) -> Spool:
    try:
        return Spool(path)
    except OSError as error:
        raise BackendError(f"cannot write {path}: {error.strerror}", "set TMPDIR") from error


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


# json costs 12 ms, which a watcher does not take for its start


def _json(members: dict[str, object]) -> str:
    import json

    return json.dumps(members, separators=(",", ":"))


def _from_json(text: str) -> object:
    import json

    return json.loads(text)
