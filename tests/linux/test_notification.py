"""The supervisor's side of user notification."""

import errno
import os
import struct

import pytest
from child import output

from pytest_seccomp.linux import notification
from pytest_seccomp.linux.notification import Exchange, nobody_is_traced, wake_up_in_place

TRACED = """
    import errno, fcntl, os, signal, socket, sys
    from pytest_seccomp.linux import notification
    from pytest_seccomp.linux.marked import MarkedCalls
    from pytest_seccomp.linux.notification import Exchange, let_everything_pass, nobody_is_traced
    from pytest_seccomp.recorder.backends import notify

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombie, which would hold the filter before Linux 6.11
    ours, theirs = socket.socketpair()
    cookie = notify.new_cookie()
    if not os.fork():
        ours.close()
        notify.attach(MarkedCalls(cookie), cookie, theirs.fileno())
        os.write(1, b"passed\\n")
        if not os.fork():
            os.write(1, b"passed\\n")
        os._exit(0)
    theirs.close()
    (listener, _), _ = notify.receive_listener(ours)
    exchange = Exchange()
"""


def test_the_buffers_are_too_long_for_ioctl_to_copy() -> None:
    exchange = Exchange()
    assert len(exchange.notification) > 1024
    assert len(exchange.answer) > 1024


def test_a_notification_in_words() -> None:
    """struct seccomp_notif: id, pid, flags, and struct seccomp_data: nr, arch, instruction pointer, six arguments."""
    exchange = Exchange()
    layout = "=QIIiIQ6Q"
    assert struct.calcsize(layout) == notification.NOTIFICATION_SIZE
    assert exchange.unanswered == 0
    struct.pack_into(layout, exchange.notification, 0, 11, 22, 33, -1, 0xC000003E, 44, *range(100, 106))
    assert exchange.unanswered == exchange.words[notification.WORD_ID] == 11
    assert exchange.words[notification.WORD_CALL] == 0xC000003E_FFFFFFFF
    assert [exchange.words[notification.WORD_ARGUMENTS + n] for n in range(6)] == list(range(100, 106))


def test_an_answer_in_words() -> None:
    """struct seccomp_notif_resp: id, val, error, flags."""
    exchange = Exchange()
    exchange.answer_words[notification.ANSWER_ID] = 11
    exchange.answer_words[notification.ANSWER_VALUE] = 22
    exchange.answer_halves[notification.ANSWER_ERROR] = -errno.EPERM
    exchange.answer_halves[notification.ANSWER_FLAGS] = notification.CONTINUE
    assert struct.unpack_from("=QqiI", exchange.answer) == (11, 22, -errno.EPERM, 1)


def test_the_memory_is_shared_with_children() -> None:
    program = """
        import os
        from pytest_seccomp.linux.notification import Exchange
        exchange = Exchange()
        if not os.fork():
            exchange.words[0], exchange.status[0] = 2**63, 1
            os._exit(0)
        os.wait()
        print(exchange.unanswered == 2**63, exchange.status[0])
    """
    assert output(program) == "True 1\n"


def test_the_end_of_all_writers_is_that_of_all_traced_threads() -> None:
    """A pipe hangs up as a listener does."""
    reading, writing = os.pipe()
    assert not nobody_is_traced(reading)
    os.close(writing)
    assert nobody_is_traced(reading)
    os.close(reading)


def test_waking_up_in_place_is_not_had_from_what_is_no_listener() -> None:
    reading, writing = os.pipe()
    assert not wake_up_in_place(reading)
    os.close(reading)
    os.close(writing)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        wake_up_in_place(reading)


@pytest.mark.needs("listener")
def test_everything_passes_until_nobody_is_left() -> None:
    program = TRACED + "    let_everything_pass(listener, exchange); print(nobody_is_traced(listener))"
    assert output(program) == "passed\npassed\nTrue\n"


@pytest.mark.needs("listener")
def test_a_call_that_another_has_received_passes_too() -> None:
    program = TRACED + (
        "    fcntl.ioctl(listener, notification.RECV, exchange.notification, True)\n"
        "    print(exchange.unanswered != 0, nobody_is_traced(listener), flush=True)\n"
        "    let_everything_pass(listener, exchange)\n"
    )
    assert output(program) == "True False\npassed\npassed\n"
