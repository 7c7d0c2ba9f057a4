"""The bell of a traced program: a process under the same filter, which says to the recorder when recording ends.

A recorder handles messages when a traced process makes a marker call, and the program itself knows nothing of that. So
one process stays between its beginning and its end. While the program's calls are counted it makes none but those that
carry the cookie, which are in no trace. It is no child of the program, but of whoever has started that, and out of
reach of the terminal's signals.
"""

import _socket
import json
import os
import signal
from typing import NoReturn

from pytest_seccomp.errors import RecorderError
from pytest_seccomp.linux.marked import MarkedCalls
from pytest_seccomp.linux.process import close_descriptors
from pytest_seccomp.recorder import labels, protocol
from pytest_seccomp.recorder.client import Client


def fork_bell(client: Client, cookie: int, messages: _socket.socket, base: int) -> None:
    """Leave a bell behind that takes `messages` for the program with these labels; returns when it is no child of the
    calling process any more. What is in `messages`:

    ("warm",)             make way for what is done at the end; answered by ("warm",)
    ("end", outcome)      the program has ended, or its recording; answered by ("finished", reasons), reasons for the
                          trace to be incomplete that are not in the spool
    ("merged",)           nothing is left to do. The end of the stream means that whoever began it was killed
    """
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        if os.fork():
            os._exit(0)
        _detach(client.descriptor, messages.fileno())
        _serve(client, MarkedCalls(cookie), messages.fileno(), base)
    finally:
        os._exit(1)


def _detach(*kept: int) -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
    os.setsid()
    os.chdir("/")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    close_descriptors(kept, first=3)


def _serve(client: Client, calls: MarkedCalls, messages: int, base: int) -> NoReturn:
    decoder = protocol.Decoder()
    while data := calls.receive(messages):
        client.mark(labels.HARNESS)  # before anything else: until now what this process calls is counted
        for message in decoder.feed(data):
            match message:
                case ("end", outcome):
                    answer: protocol.Message = ("finished", _finish(client, base, outcome))
                case ("merged",):
                    client.send("merged")
                    client.ring()
                    os._exit(0)
                case _:
                    answer = message
            calls.send(messages, protocol.encode(answer), wait=True)
    os._exit(0)


def _finish(client: Client, base: int, outcome: object) -> list[str]:
    client.send("end", base, json.dumps(outcome))
    try:
        reasons = client.finish()[3]
    except RecorderError as error:
        return [str(error)]
    return [str(reason) for reason in reasons]  # type: ignore[attr-defined]
