"""The beginning of a process of ours that is no child of pytest: out of its session, its signals and its descriptors.

Run by `python -I -S` with the control socket as descriptor 3, and only the standard library at hand; `starting` is
pytest's side.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` and `socket` cost 13 ms at start
import _socket
import os

from pytest_seccomp.recorder import protocol
from pytest_seccomp.recorder.refused import explained

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable

CONTROL = 3
"""The descriptor of the control socket in a process that starts."""


def run(work: Callable[[_socket.socket], None]) -> None:
    """Go on in a child, which pytest does not have to wait for and its tests do not find, and do the work there, with
    the control socket. pytest is told of a call that is refused.

    It holds none of pytest's descriptors but that, and has to outlive pytest, and the Ctrl-C or SIGTERM that ends it.
    """
    control = _socket.socket(fileno=CONTROL)
    try:
        _detach()
        work(control)
    except OSError as error:
        refused = explained(error)
        try:
            control.sendall(protocol.encode(("refused", refused.reason, refused.remedy)))
        except OSError:
            pass  # pytest has ended, or has let go of us


def _detach() -> None:
    if os.fork():
        os._exit(0)
    os.setsid()
    os.chdir("/")
    os.closerange(CONTROL + 1, os.sysconf("SC_OPEN_MAX"))
    for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT):
        _signal.signal(number, _signal.SIG_IGN)


def first_message(control: _socket.socket, decoder: protocol.Decoder) -> protocol.Message:
    """What to do."""
    while True:
        data = control.recv(65536)
        if not data:
            raise SystemExit  # pytest has ended before it said what to do
        for message in decoder.feed(data):
            return message
