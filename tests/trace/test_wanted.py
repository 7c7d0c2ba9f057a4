"""A call as a user names it."""

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.trace.wanted import Wanted, named


@pytest.mark.parametrize("text", ["openat", "OPENAT", "257", "0x101", "x86_64:257", "x86_64:openat", "X86_64:0x101"])
def test_by_name_or_number(text: str) -> None:
    wanted = Wanted.parse(text)
    assert wanted.is_met_by("x86_64", 257, "openat")
    assert not wanted.is_met_by("x86_64", 258, "mkdirat")


@pytest.mark.parametrize("text", ["i386:openat", "i386:257", "aarch64:0x101"])
def test_of_one_architecture_alone(text: str) -> None:
    assert not Wanted.parse(text).is_met_by("x86_64", 257, "openat")


def test_as_it_stands_in_python() -> None:
    assert [named(value) for value in ("openat", 257, -1)] == ["openat", "257", "-1"]
    assert [named(value) for value in (None, True, 1.5, ["openat"])] == [None] * 4


def test_a_number_that_has_no_name() -> None:
    assert Wanted.parse("0x00001234:-1").is_met_by("0x00001234", -1, None)
    assert not Wanted.parse("openat").is_met_by("x86_64", 257, None)


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(SeccompError, match=r"unknown architecture 'x87': name one as in x86_64:257, or leave it out"):
        Wanted.parse("x87:openat")


def test_a_misspelling_is_refused() -> None:
    with pytest.raises(SeccompError, match=r"no system call is named 'opnat': did you mean openat\b"):
        Wanted.parse("opnat").check_known()


@pytest.mark.parametrize("text", ["openat", "i386:socketcall", "9999"])
def test_what_is_known_is_not_refused(text: str) -> None:
    Wanted.parse(text).check_known()


def test_a_name_can_be_known_from_elsewhere() -> None:
    Wanted.parse("newest").check_known(["newest"])
