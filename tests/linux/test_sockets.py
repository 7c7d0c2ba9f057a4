"""Sockets between processes of ours."""

import os
import socket
from collections.abc import Iterator

import pytest

from pytest_seccomp.linux.sockets import Socket, stream_pair


@pytest.fixture
def default_timeout() -> Iterator[None]:
    """What the code under test may set for all sockets that are made from then on."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(0.001)
    yield
    socket.setdefaulttimeout(before)


@pytest.mark.usefixtures("default_timeout")
def test_a_pair_waits_for_the_other_end() -> None:
    ours, theirs = stream_pair()
    with ours, theirs:
        with Socket(fileno=os.dup(ours.fileno())) as copy:
            assert os.get_blocking(copy.fileno())
        for one in (ours, theirs):
            assert one.gettimeout() is None
            assert os.get_blocking(one.fileno())
            assert not os.get_inheritable(one.fileno())
        ours.sendall(b"text")
        assert theirs.recv(10) == b"text"
    assert (ours.fileno(), theirs.fileno()) == (-1, -1)


def test_pythons_own_class_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", None)
    ours, theirs = stream_pair()
    with ours, theirs:
        assert (ours.family, ours.type) == (theirs.family, theirs.type) == (socket.AF_UNIX, socket.SOCK_STREAM)
