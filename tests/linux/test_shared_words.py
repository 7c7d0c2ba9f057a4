"""Words of memory that processes share."""

import errno
import os
from collections.abc import Callable

import pytest
from child import output

from pytest_seccomp.linux import shared_words


def test_new_words_are_zero_and_whoever_has_the_descriptor_sees_what_is_set() -> None:
    descriptor = shared_words.create(3)
    try:
        here, there = shared_words.mapped(descriptor, 3), shared_words.mapped(descriptor, 2)
    finally:
        os.close(descriptor)
    assert list(here) == [0, 0, 0]
    here[0], here[1], here[2] = 2**64 - 1, 2, 3
    assert list(there) == [2**64 - 1, 2]


def test_a_child_shares_them_and_no_descriptor_is_left() -> None:
    program = """
        import os
        from pytest_seccomp.linux import shared_words

        before = os.listdir("/proc/self/fd")
        descriptor = shared_words.create(1)
        assert not os.get_inheritable(descriptor)
        words = shared_words.mapped(descriptor, 1)
        os.close(descriptor)
        assert os.listdir("/proc/self/fd") == before
        child = os.fork()
        if not child:
            words[0] = 7
            os._exit(0)
        os.waitpid(child, 0)
        print(words[0])
    """
    assert output(program) == "7\n"


def test_a_kernel_that_does_not_know_the_seal_makes_them_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Linux 6.3."""
    asked: list[int] = []

    def old(create: Callable[[int], int], flags: int) -> int:
        asked.append(flags)
        if flags & 8:
            raise OSError(errno.EINVAL, "Invalid argument")
        return create(flags)

    known = shared_words._create
    monkeypatch.setattr(shared_words, "_create", lambda flags: old(known, flags))
    os.close(shared_words.create(1))
    assert asked == [9, 1]


def test_an_error_has_the_name_of_the_call() -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)) as caught:
        shared_words.mapped(2**20, 1)
    assert caught.value.filename == "mmap"
