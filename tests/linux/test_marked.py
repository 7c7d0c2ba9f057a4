"""Calls of our own with the cookie: where nobody traces they are ordinary ones."""

import errno
import os
import socket
from collections.abc import Iterator

import pytest
from child import output

from pytest_seccomp.linux.marked import MarkedCalls

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def calls() -> MarkedCalls:
    return MarkedCalls(2**62 - 1)


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two ends of a stream."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_without_a_recorder_nobody_answers_a_ring(calls: MarkedCalls) -> None:
    assert calls.ring() is None


def test_what_is_sent_is_received(calls: MarkedCalls, pair: Pair) -> None:
    ours, theirs = pair
    assert calls.send(ours.fileno(), b"to theirs") == 9
    assert theirs.recv(100) == b"to theirs"
    theirs.send(b"to \0 ours")
    assert calls.receive(ours.fileno()) == b"to \0 ours"


def test_a_shorter_message_after_a_longer_one(calls: MarkedCalls, pair: Pair) -> None:
    ours, theirs = pair
    for data in (b"longer", b"short", b""):
        assert calls.send(ours.fileno(), data) == len(data)
    assert theirs.recv(100) == b"longershort"


def test_a_long_message_is_sent_in_pieces(calls: MarkedCalls, pair: Pair) -> None:
    ours, theirs = pair
    data = os.urandom(100_000)
    sent = calls.send(ours.fileno(), data)
    assert sent == 65536
    received = b""
    while len(received) < sent:
        received += theirs.recv(sent)
    assert received == data[:sent]


def test_the_end_of_the_stream_is_empty(calls: MarkedCalls, pair: Pair) -> None:
    ours, theirs = pair
    theirs.close()
    assert calls.receive(ours.fileno()) == b""


def test_a_full_socket_is_said_to_block(calls: MarkedCalls, pair: Pair) -> None:
    def fill() -> None:
        while calls.send(pair[0].fileno(), bytes(65536)):
            pass

    with pytest.raises(BlockingIOError):
        fill()


@pytest.mark.parametrize("name", ["sendmsg", "recvmsg"])
def test_an_error_has_the_name_of_the_call(calls: MarkedCalls, name: str) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)) as caught:
        calls.send(2**20, b"x") if name == "sendmsg" else calls.receive(2**20)
    assert (caught.value.errno, caught.value.filename) == (errno.EBADF, name)


def test_nobody_at_the_other_end_raises_no_signal(calls: MarkedCalls, pair: Pair) -> None:
    ours, theirs = pair
    theirs.close()
    with pytest.raises(BrokenPipeError):
        calls.send(ours.fileno(), b"x")


def test_a_filter_that_is_refused_changes_nothing() -> None:
    program = """
        import gc, signal, socket
        from pytest_seccomp.linux import process, seccomp
        from pytest_seccomp.linux.marked import MarkedCalls
        before = process.status_field("Seccomp"), process.status_field("Seccomp_filters")
        seccomp.set_no_new_privs()
        signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGUSR2])
        ours, theirs = socket.socketpair()
        try:
            MarkedCalls(1).install_and_hand_over(seccomp.verdict(seccomp.RET_ALLOW), 1 << 30, ours.fileno())
        except OSError as error:
            print(error.errno, error.filename)
        print(process.status_field("Seccomp") == before[0], process.status_field("Seccomp_filters") == before[1])
        print(signal.pthread_sigmask(signal.SIG_BLOCK, []) == {signal.SIGUSR2}, gc.isenabled())
    """
    assert output(program) == f"{errno.EINVAL} seccomp\nTrue True\nTrue True\n"


@pytest.mark.needs("listener")
@pytest.mark.parametrize("collecting", [True, False])
def test_handing_over_leaves_signals_collection_and_descriptors_as_they_were(collecting: bool) -> None:
    program = """
        import gc, os, signal, socket, sys
        from pytest_seccomp.linux.marked import MarkedCalls
        from pytest_seccomp.linux.notification import Exchange, let_everything_pass
        from pytest_seccomp.recorder.backends import notify
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombie, which would hold the filter before Linux 6.11
        ours, theirs = socket.socketpair()
        cookie = notify.new_cookie()
        if not os.fork():
            if sys.argv[1] == "False":
                gc.disable()
            signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGUSR2])
            before = os.listdir("/proc/self/fd")
            notify.attach(MarkedCalls(cookie), cookie, theirs.fileno())
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, [])
            print(mask == {signal.SIGUSR2}, gc.isenabled(), os.listdir("/proc/self/fd") == before, flush=True)
            os._exit(0)
        theirs.close()
        let_everything_pass(notify.receive_listener(ours)[0][0], Exchange())
    """
    assert output(program, str(collecting)) == f"True {collecting} True\n"
