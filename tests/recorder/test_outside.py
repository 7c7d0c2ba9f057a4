"""Calls outside a profile: what is told of them, once, and whose they are."""

from pytest_seccomp.recorder.labels import COLLECTION, FIRST_TEST, HARNESS, next_base
from pytest_seccomp.recorder.outside import Outside

BASE = FIRST_TEST
CURL = (7, b"curl", b"/usr/bin/curl")
READ, CONNECT, BIND = 0, 42, 49


def test_what_is_told_is_what_was_counted_since() -> None:
    outside = Outside({READ})
    counts = {BASE: {READ: 5, CONNECT: 2}, BASE + 1: {CONNECT: 1, BIND: 1}}
    outside.note(BASE, CONNECT, CURL)
    outside.note(BASE, CONNECT, (8, b"wget", None))  # not the first
    asked = (BASE, BASE + 1)
    assert outside.take(asked, counts.__getitem__) == [
        (BASE, CONNECT, 2, CURL),
        (BASE + 1, CONNECT, 1, None),
        (BASE + 1, BIND, 1, None),
    ]
    assert outside.take(asked, counts.__getitem__) == []
    counts[BASE][CONNECT] = 9
    assert outside.take(asked, counts.__getitem__) == [(BASE, CONNECT, 7, CURL)]


def test_a_run_that_is_over_leaves_nothing_to_the_next_with_its_labels() -> None:
    outside = Outside({READ})
    outside.note(BASE, CONNECT, CURL)
    outside.take([BASE], lambda _label: {CONNECT: 1})
    outside.end(next_base(BASE))
    assert outside.take([BASE], lambda _label: {CONNECT: 1}) == []
    outside.end(BASE)
    assert outside.take([BASE], lambda _label: {CONNECT: 1}) == [(BASE, CONNECT, 1, None)]


def test_nobody_asks_for_the_harness_nor_without_a_profile() -> None:
    assert Outside({READ}).allowed(COLLECTION) == frozenset({READ})
    assert Outside({READ}).allowed(HARNESS) is None
    assert Outside().allowed(BASE) is None
    assert Outside().take([BASE], lambda _label: {CONNECT: 1}) == []
