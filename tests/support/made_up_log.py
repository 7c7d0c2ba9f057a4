"""A recorder of the kernel's log whose kernel, whose pytest and whose time are made up: what both say, and in which
order, is the test's, and time passes when a test has it pass."""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import printed
import pytest
from running import until

from pytest_seccomp.linux import audit_control
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.audit_log import Message
from pytest_seccomp.linux.seccomp_record import LOG, RECORD_TYPE
from pytest_seccomp.recorder import kernel_log, log_recording, protocol
from pytest_seccomp.recorder.checked import Checked
from pytest_seccomp.recorder.kernel_log import AUDIT, open_log
from pytest_seccomp.recorder.log_marks import RINGS, first_number
from pytest_seccomp.recorder.process import Recorder

BACKEND = "pytest_seccomp.recorder.backends.made_up"
COOKIE = 123456789
SESSION = 7
PID = 42

_FIRST = first_number(COOKIE)


class _Messages:
    """In place of AuditLog."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK)
        self.overruns = self.dropped = 0
        self._waiting: list[Message] = []
        self._lock = threading.Lock()
        self.all_read = True
        """Whether the reader has come back for more after the last message."""

    def put(self, message: Message) -> None:
        with self._lock:
            self._waiting.append(message)
            self.all_read = False
        os.eventfd_write(self.descriptor, 1)

    def receive(self) -> list[Message]:
        with self._lock:
            found, self._waiting = self._waiting, []
            self.all_read = not found
        try:
            os.eventfd_read(self.descriptor)
        except BlockingIOError:
            pass
        return found

    def close(self) -> None:
        """Stays open: the test may still write."""


class _Sentinel:
    """In place of Sentinel: its call is logged, after what else is on its way."""

    def __init__(self, made_up: "MadeUp") -> None:
        self._made_up = made_up

    def ask(self) -> bytes:
        self._made_up.on_their_way()
        self._made_up.call(1, pid=PID + 1, session=SESSION + 1, comm=b"sentinel")
        return b"sentinel"

    def close(self) -> None:
        """There is no process."""


def _refuse() -> audit_control.Status:
    raise PermissionError


class MadeUp:
    """Runs the recorder in a thread of this process; the methods are what pytest does and the kernel says of it.

    Its clock stands still: what does not come is waited for. Time passes while the end of the recorder is waited for,
    and where `gives_up` is set, while pytest waits for an answer: always after the recorder has read what there is.
    """

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, target: int) -> None:
        self.kernel = _Messages()
        self.serial = 100
        self.rung = 0
        self.gives_up = False
        self._now = 1000.0
        self.path = path / "spool.ndjson"
        self.on_their_way: Callable[[], None] = lambda: None
        """Makes the records come that were made before the end of pytest, when the recorder asks for all of them."""
        self._ours, theirs = socket.socketpair()
        self._decoder = protocol.Decoder()
        clock = SimpleNamespace(monotonic=lambda: self._now, sleep=time.sleep)
        monkeypatch.setattr(log_recording, "time", clock)
        monkeypatch.setattr(kernel_log, "AuditLog", lambda: self.kernel)
        monkeypatch.setattr(log_recording, "Sentinel", lambda _: _Sentinel(self))
        monkeypatch.setattr(audit_control, "status", _refuse)  # which is that of the real kernel
        log = open_log(AUDIT, ["log"])
        self.kernel.put(Message(RECORD_TYPE, self._text(PID, 1)))
        log.receive()
        log.begin(self.serial)
        backend = ModuleType(BACKEND)
        backend.self_check = lambda: Checked(["a note"], log)  # type: ignore[attr-defined]
        backend.record = log_recording.record  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, BACKEND, backend)
        settings = protocol.Settings("made_up", COOKIE, target, str(self.path), "null", None)
        self._ours.sendall(protocol.encode(settings.message()))
        self.recorder = Recorder(theirs)
        self.thread = threading.Thread(target=self.recorder.run)
        self.thread.start()
        assert self._answer() == ("ready", "made_up", os.getpid(), ["a note"], [])

    def close(self) -> None:
        """End the recorder."""
        self._ours.close()
        self.wait_for_its_end()
        self.recorder.control.close()
        os.close(self.kernel.descriptor)

    def wait_for_its_end(self) -> None:
        """It has seen that pytest or the connection has ended."""

        def ended() -> bool:
            self.thread.join(0.1)
            if self.thread.is_alive():
                self._let_time_pass()
            return not self.thread.is_alive()

        until("the end of the recorder", ended)

    def send(self, *message: object) -> None:
        """A message on the control socket."""
        self._ours.sendall(protocol.encode(message))

    def attach(self, session: int | None = SESSION) -> None:
        """pytest comes under its filter."""
        self.send("attached", session)
        self.ring(0)

    def call(self, number: int, count: int = 1, *, lost: bool = False, **record: Any) -> None:
        """Calls are logged, of pytest if `record` does not say otherwise."""
        pid = record.pop("pid", PID)
        for _ in range(count):
            self.serial += 1
            if not lost:
                self.kernel.put(Message(RECORD_TYPE, self._text(pid, number, **record)))

    def other(self, text: bytes, kind: int) -> None:
        """Another message comes."""
        self.kernel.put(Message(kind, text))

    def text(self, number: int, **record: Any) -> bytes:
        """The text of a record of pytest with the next serial, which does not come."""
        self.serial += 1
        return self._text(PID, number, **record)

    def mark(self, label: int, **record: Any) -> None:
        """A marker call."""
        self.call(_FIRST + label, **record)

    def ring(self, label: int, *messages: tuple[object, ...], **record: Any) -> None:
        """Messages, and the marker call that belongs to them."""
        self.call(self.announce(label, *messages), **record)

    def announce(self, label: int, *messages: tuple[object, ...]) -> int:
        """The messages alone; returns the number of the marker call that belongs to them."""
        for message in messages:
            self.send(*message)
        self.send("boundary", self.rung, label)
        self.rung += 1
        return _FIRST + RINGS + self.rung - 1

    def answer_to_finish(self, again: Callable[[], None] = lambda: None) -> protocol.Message:
        """What pytest is told in the end; `again` is done as often as it is to make its marker call again."""
        while True:
            answer = self._answer()
            if answer != protocol.AGAIN:
                return answer
            again()

    def counted(self, label: int, number: int) -> int:
        """How often a call was counted for a label that the recorder has not written yet."""
        counts = self.recorder.ledger._by_label.get(label, {})
        return counts.get(native().audit_arch << 32 | number, 0)

    def lines(self) -> list[dict[str, Any]]:
        """Those of the spool so far."""
        return [json.loads(line) for line in self.path.read_text(encoding="ascii").splitlines()]

    def _answer(self) -> protocol.Message:
        self._ours.settimeout(0.1 if self.gives_up else 60)
        while True:
            try:
                data = self._ours.recv(65536)
            except TimeoutError:
                assert self.gives_up
                self._let_time_pass()
                continue
            for answer in self._decoder.feed(data):
                return answer

    def _let_time_pass(self) -> None:
        """As much as what does not come is waited for, if the recorder reads and has read all."""
        if self.kernel.all_read:
            self._now += log_recording._ON_ITS_WAY_SECONDS
            os.eventfd_write(self.kernel.descriptor, 1)  # it looks at the clock

    def _text(self, pid: int, number: int, **record: Any) -> bytes:
        told = {"session": SESSION, "action": LOG, "audit_arch": native().audit_arch, **record}
        told.setdefault("time_ms", int(time.time() * 1000))
        return printed.record(serial=self.serial, pid=pid, number=number, **told)
