"""The sandboxes of one pytest process: their host, starting them, and what they did in the meantime."""

import _socket
import fcntl
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from os import close as close_descriptor  # a test may replace os.close while its program runs
from typing import Any

from pytest_seccomp.errors import SandboxError
from pytest_seccomp.linux.messages import Messages
from pytest_seccomp.profile import compiling
from pytest_seccomp.profile.policy import Policy
from pytest_seccomp.recorder import protocol, starting
from pytest_seccomp.sandbox.filter import Filter
from pytest_seccomp.sandbox.sandbox import Sandbox, kill
from pytest_seccomp.sandbox.streams import limit_waiting

_MODULE = "pytest_seccomp.sandbox.host"
_CALLED = "the host of sandboxes"
_LAST_STANDARD = 2
_PATIENCE_MS = 20_000
"""Milliseconds in which a host or a supervisor has to answer. They do at once, unless somebody has stopped them: a
program in a sandbox may, as it has the same user. Then they are killed."""

Spawn = Callable[[str, protocol.Message, str], _socket.socket]
"""Starts `main` of a module with its first message, as `starting.start` does; returns the socket to it."""


class Sandboxes:
    """Starts sandboxes, any number at once, from any thread.

    `spawn` starts the host, which must be under no filter of ours: where pytest is traced, its recorder does. `cookie`
    is that of the trace, so that what is said here is in none; 0 where there is no trace. `record` says whether calls
    are recorded although a policy is given.
    """

    def __init__(self, spawn: Spawn = starting.start, cookie: int = 0, *, record: bool = False) -> None:
        self._host = 0
        """Its pid, where it has told it."""
        self._spawn = spawn
        self._messages = Messages(cookie)
        self._record = record
        self._lock = threading.Lock()
        self._control: _socket.socket | None = None
        self._decoder = protocol.Decoder()
        self._number = 0
        self._sandboxes: list[Sandbox] = []
        self._filters: dict[tuple[int, bool], tuple[Policy, bytes]] = {}
        self.process = os.getpid()
        """The process that they belong to."""
        _all.add(self)

    def start(self) -> None:
        """Start the host now, and not with the first sandbox. Raises SeccompError."""
        with self._lock:
            self._connect()

    def policy_filter(self, policy: Policy | None, record: bool | None) -> tuple[bytes, bool]:
        """The filter of a policy, empty where there is none, and whether all calls are to be recorded. It is compiled
        once: the policy is not to be changed after. SeccompError where it is larger than the kernel takes."""
        if policy is None:
            return b"", True
        everything = self._record if record is None else record
        known = self._filters.get((id(policy), everything))
        if known is not None:
            return known[1], everything
        code = compiling.program(policy)
        Filter(code, everything)  # says what is wrong with it before there is a process
        self._filters[id(policy), everything] = policy, code  # the policy as well, or another one may have its id
        return code, everything

    def new(self, *, recorded: bool, about: object = None, argv: tuple[str, ...] = ()) -> Sandbox:
        """A sandbox, in which nothing runs yet, for a program with its arguments. Raises SeccompError."""
        with self._lock:
            for attempt in (1, 2):
                self._connect()
                try:
                    requests, news, supervisor = self._fork()
                    break
                except _HostDied:
                    self._forget_host()
                    if attempt == 2:
                        raise SandboxError(f"{_CALLED} died twice: run again, or ask pytest-seccomp doctor") from None
            sandbox = Sandbox(self._messages, requests, news, supervisor, recorded=recorded, about=about, argv=argv)
            self._sandboxes.append(sandbox)
        return sandbox

    def live(self) -> Iterator[Sandbox]:
        """Those of which `delta` may have something to tell, now or later."""
        with self._lock:
            self._sandboxes = [sandbox for sandbox in self._sandboxes if not sandbox.is_told]
            return iter(list(self._sandboxes))

    def forget(self, sandbox: Sandbox) -> None:
        """Ask nothing of it any more."""
        with self._lock:
            self._sandboxes = [one for one in self._sandboxes if one is not sandbox]

    def close(self) -> None:
        """End all that runs in a sandbox, and the host. Another sandbox would start a new one."""
        for sandbox in self.live():
            try:
                sandbox.end()
            except SandboxError:
                pass  # its descriptors are closed: it ends with pytest
        with self._lock:
            self._forget_host()

    def _connect(self) -> None:
        if self._control is None:
            self._decoder = protocol.Decoder()
            self._control = self._spawn(_MODULE, (self.process,), _CALLED)
            self._host = 0
            limit_waiting(self._control.fileno(), _PATIENCE_MS)

    def _fork(self) -> tuple[int, int, int]:
        assert self._control is not None
        self._number += 1
        number = self._number
        control = self._control.fileno()
        descriptors: list[int] = []
        try:
            try:
                self._messages.send(control, protocol.encode(("sandbox", number, _PATIENCE_MS)))
            except ConnectionError:
                pass  # it has ended, and may have said why
            while True:
                data, came = self._messages.receive(control)
                if not data:
                    raise _HostDied
                descriptors += came
                for message in self._decoder.feed(data):
                    match message:
                        case ("sandbox", n, int(supervisor), int(host)):
                            self._host = host
                            requests, news, *descriptors = descriptors
                            if n == number:
                                return _above_standard(requests), _above_standard(news), supervisor
                            for descriptor in (requests, news):  # of a start that an exception has cut off
                                close_descriptor(descriptor)
                        case ("refused", n, reason) if n == number:
                            raise SandboxError(str(reason))
                        case ("refused", str(reason), str(remedy)):
                            raise SandboxError(f"cannot start {_CALLED}: {reason}: {remedy}")
        except BlockingIOError as error:
            if self._host:
                kill(self._host)  # stopped by whoever may: it would be left
            raise _HostDied from error
        except OSError as error:
            raise _HostDied from error

    def _forget_host(self) -> None:
        if self._control is not None:
            try:
                self._control.close()
            except OSError:
                pass  # EBADF: the code under test has closed it already
            self._control = None

    def _in_a_child(self) -> None:
        """A child that a test has forked shares none of this: what it starts, it starts by a host of its own."""
        self._lock = threading.Lock()
        self.process = os.getpid()
        self._forget_host()
        for sandbox in self._sandboxes:
            sandbox.close()
        self._sandboxes = []


def _above_standard(descriptor: int) -> int:
    """The descriptor, under another number where it has that of a standard one which pytest has closed."""
    if descriptor > _LAST_STANDARD:
        return descriptor
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _LAST_STANDARD + 1)
    close_descriptor(descriptor)
    return moved


class _HostDied(Exception):
    pass


_all: "weakref.WeakSet[Any]" = weakref.WeakSet()


def _forget_in_a_child() -> None:
    for sandboxes in _all:
        sandboxes._in_a_child()


os.register_at_fork(after_in_child=_forget_in_a_child)
