"""Gaps in the serials of audit events, whatever the order in which they come."""

import random

import pytest
import traces  # noqa: F401  # its profile for Hypothesis
from hypothesis import given
from hypothesis import strategies as st

from pytest_seccomp.linux.audit_serials import Serials

WRAP = 2**32
firsts = st.sampled_from([0, 1, 14, 2**31 - 2, 2**31, WRAP - 3, WRAP - 1])


def of(first: int, come: list[int]) -> Serials:
    serials = Serials()
    serials.begin(first)
    for serial in come:
        serials.add(serial)
    return serials


def test_nothing_is_missing_where_all_have_come() -> None:
    assert of(10, [11, 12, 13]).missing(14) == 0


@pytest.mark.parametrize(("end", "missing"), [(10, 0), (11, 0), (12, 1), (13, 1), (14, 2), (15, 2), (20, 7)])
def test_what_is_missing_before_an_end(end: int, missing: int) -> None:
    assert of(10, [12, 14]).missing(end) == missing


def test_an_event_of_several_records_comes_several_times() -> None:
    assert of(10, [10, 11, 11, 13, 13, 11]).missing(14) == 1


def test_events_before_the_first_do_not_count() -> None:
    assert of(10, [7, 9, 11]).missing(12) == 0


def test_events_after_the_first_may_come_before_it() -> None:
    serials = Serials()
    for serial in (8, 11, 9, 13):
        serials.add(serial)
    serials.begin(10)
    assert serials.missing(14) == 1


def test_it_can_begin_again() -> None:
    serials = of(10, [12, 21])
    serials.begin(20)
    serials.add(22)
    assert serials.missing(23) == 0


def test_it_can_begin_again_at_one_that_others_have_followed() -> None:
    """As where another process's records come in between ours and the end of a batch."""
    serials = of(10, [11, 12, 13, 14, 16])
    serials.begin(11)
    assert (serials.missing(12), serials.missing(15), serials.missing(17)) == (0, 0, 1)


def test_without_a_first_there_is_no_gap() -> None:
    serials = Serials()
    serials.add(1)
    with pytest.raises(ValueError, match="no first serial"):
        serials.missing(2)


@given(firsts, st.integers(1, 60), st.sets(st.integers(1, 59)), st.randoms(use_true_random=False), st.integers(0, 60))
def test_any_order_and_any_gap(first: int, length: int, lost: set[int], order: random.Random, begun: int) -> None:
    """`begun` of them come before the first itself; numbers start again after 32 bits."""
    come = [number for number in range(-3, length) if number != 0 and number not in lost]
    order.shuffle(come)
    serials = Serials()
    for number in come[:begun]:
        serials.add((first + number) % WRAP)
    serials.begin(first)
    for number in come[begun:] + come[:3]:
        serials.add((first + number) % WRAP)
    for end in range(length + 1):
        assert serials.missing((first + end) % WRAP) == len([number for number in lost if number < end])


def test_it_keeps_in_mind_only_what_is_ahead_of_a_gap() -> None:
    serials = of(0, list(range(1, 10_000)))
    assert len(serials._ahead) == 0
    serials.add(10_001)
    assert len(serials._ahead) == 1
    serials.add(10_000)
    assert (len(serials._ahead), serials.missing(10_002)) == (0, 0)


def test_it_forgets_what_came_before_the_first() -> None:
    serials = Serials()
    for serial in range(10):
        serials.add(serial)
    serials.begin(10)
    assert len(serials._ahead) == 0
