"""Calls that do the same."""

import pytest

from pytest_seccomp.cli import siblings
from pytest_seccomp.linux.syscalls import all_names


@pytest.mark.parametrize(
    ("name", "other"),
    [("open", "openat"), ("fork", "clone"), ("vfork", "clone3"), ("stat", "newfstatat"), ("pipe", "pipe2")],
)
def test_either_of_two_calls_leads_to_the_other(name: str, other: str) -> None:
    assert other in siblings.siblings(name)
    assert name in siblings.siblings(other)
    assert name not in siblings.siblings(name)


def test_a_call_that_stands_alone_has_none() -> None:
    assert list(siblings.siblings("getpid")) == []


def test_every_name_is_that_of_a_call_and_in_one_family() -> None:
    names = siblings._FAMILIES.split()
    assert set(names) <= all_names()
    assert len(names) == len(set(names))
