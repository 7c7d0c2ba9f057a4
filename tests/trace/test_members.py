"""Members of JSON objects from outside."""

from typing import Any

import pytest

from pytest_seccomp.trace.members import (
    BOOL,
    INT,
    INT_OR_NULL,
    LIST,
    OBJECT,
    TEXT,
    TEXT_OR_NULL,
    entries,
    natural,
    take,
)

VALUES: list[Any] = [7, "seven", True, None, 7.0, [7], {"seven": 7}]


@pytest.mark.parametrize(
    ("types", "accepted"),
    [
        (INT, [7]),
        (TEXT, ["seven"]),
        (BOOL, [True]),
        (LIST, [[7]]),
        (OBJECT, [{"seven": 7}]),
        (INT_OR_NULL, [7, None]),
        (TEXT_OR_NULL, ["seven", None]),
    ],
)
def test_only_the_types_that_are_asked_for_are_taken(types: tuple[type, ...], accepted: list[Any]) -> None:
    """In Python True is a number and 7.0 == 7, in JSON they are something else."""
    for value in VALUES:
        if any(type(value) is type(one) for one in accepted):
            assert take({"member": value}, "member", types) is value
        else:
            with pytest.raises(ValueError, match=r'^"member" cannot be '):
                take({"member": value}, "member", types)


def test_a_missing_member_is_named() -> None:
    with pytest.raises(ValueError, match=r'^"member" is missing$'):
        take({"other": 7}, "member", INT)


def test_a_natural_number_begins_at_0() -> None:
    assert natural({"member": 0}, "member") == 0
    with pytest.raises(ValueError, match=r'^"member" cannot be -1$'):
        natural({"member": -1}, "member")


def test_a_long_value_is_shortened() -> None:
    with pytest.raises(ValueError, match=r'^"member" cannot be "x{38}…$'):
        take({"member": "x" * 1000}, "member", INT)


def test_only_objects_are_entries() -> None:
    assert entries({"syscalls": [{}, {"syscall": 7}]}) == [{}, {"syscall": 7}]
    with pytest.raises(ValueError, match=r'^"syscalls" cannot hold 7$'):
        entries({"syscalls": [{}, 7]})
