"""The process that becomes a traced program: all that is between its fork and its execve, which none of it is counted.

What it inherits stays as it is: terminal, process group, descriptors, limits. Signals that Python ignores or handles
are as they were for whoever started it.
"""

import _socket
import gc
import os
import signal
from typing import NoReturn

from pytest_seccomp.errors import RecorderError, UnusableError
from pytest_seccomp.linux.execution import Execution, environment
from pytest_seccomp.linux.headroom import make_room
from pytest_seccomp.linux.parent import end_with, outlive_parent
from pytest_seccomp.recorder import labels, protocol
from pytest_seccomp.recorder.client import Client
from pytest_seccomp.recorder.program_bell import fork_bell

BASE = labels.next_base(labels.HARNESS)
"""Of the labels of the program, which stands in the place of a test."""

_PYTHONS_OWN = (signal.SIGPIPE, signal.SIGXFSZ)
"""Which Python ignores from its start on; what they were before is not known, and subprocess has them do their default
as well."""


class Parts:
    """What the process is to do. `name` is what stands in a test's id's place, as JSON."""

    __slots__ = ("argv", "client", "cookie", "mask", "messages", "name", "news", "path")

    def __init__(
        self,
        path: bytes,
        argv: list[bytes],
        name: str,
        client: Client,
        cookie: int,
        messages: _socket.socket,
        news: _socket.socket,
        mask: set[signal.Signals],
    ) -> None:
        self.path, self.argv, self.name = path, argv, name
        self.client, self.cookie = client, cookie
        self.messages = messages
        """The bell's end."""
        self.news = news
        """Over which it tells ("ready",) and waits for a byte, or that it did not become the program."""
        self.mask = mask
        """The signals that the program finds blocked."""


def become(parts: Parts, parent: int) -> NoReturn:
    """Become the program, in a process that was forked for it, or tell why not.

    ("refused", failures) where the backend does not work: name, reason and remedy of each that was tried;
    ("failed", errno) where the execve fails; ("broken", text) for anything else.
    """
    try:
        message: protocol.Message = _become(parts, parent)
    except UnusableError as error:
        message = ("refused", [(name, failure.reason, failure.remedy) for name, failure in error.failures])
    except RecorderError as error:
        message = ("broken", str(error))
    except BaseException as error:  # noqa: BLE001, without a word it would be taken for a program that has started
        message = ("broken", f"{type(error).__name__}: {error}")
    try:
        parts.news.sendall(protocol.encode(message))
    finally:
        os._exit(1)


def _become(parts: Parts, parent: int) -> protocol.Message:
    gc.disable()
    end_with(parent)
    client = parts.client
    client.attach()
    client.send("begin", BASE, parts.name, 0)
    client.ring()
    fork_bell(client, parts.cookie, parts.messages, BASE)
    execution = Execution(parts.path, parts.argv, environment())
    parts.news.sendall(protocol.encode(("ready",)))
    if not parts.news.recv(1):
        return ("broken", "nobody waits for it")
    outlive_parent()
    for number in signal.valid_signals():
        if number in _PYTHONS_OWN or callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    _room = make_room()
    client.mark(labels.HARNESS)  # so that all that the next one needs is there
    signal.pthread_sigmask(signal.SIG_SETMASK, parts.mask)
    client.mark(BASE + labels.CALL)
    return ("failed", execution.make().errno)
