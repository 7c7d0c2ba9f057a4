"""A trace in words and as a table."""

import pytest

from pytest_seccomp.trace.records import Record
from pytest_seccomp.trace.totals import Figures
from pytest_seccomp.trace.words import by_count, calls_table, in_words, plural

READ = Record(0, "read", 23, "x86_64", 2, 10)
UNKNOWN = Record(4000, None, 1000, "x86_64", 1, 0)
EXIT = Record(1, "exit", 23, "i386", 1, 0)


@pytest.mark.parametrize(
    ("figures", "runs", "words"),
    [
        (Figures(0, 0, 0, 0, 0), 1, "1 run, 0 tests, 0 calls of 0 kinds: 0 in tests, 0 in collection"),
        (Figures(1, 1, 1, 0, 5), 2, "2 runs, 1 test, 1 call of 1 kind: 1 in tests, 0 in collection"),
        (
            Figures(2000, 3, 4000, 100, 5, untold=1),
            0,
            "2,000 tests, 1 trace without a tests file, 4,100 calls of 3 kinds: 4,000 in tests, 100 in collection",
        ),
        (
            Figures(0, 3, 4, 1, 0, untold=2),
            0,
            "2 traces without a tests file, 5 calls of 3 kinds: 4 in tests, 1 in collection",
        ),
    ],
)
def test_figures_in_words(figures: Figures, runs: int, words: str) -> None:
    assert in_words(figures, runs) == words


def test_plural() -> None:
    assert [plural(count, "call") for count in (0, 1, 2, 1000)] == ["0 calls", "1 call", "2 calls", "1,000 calls"]


def test_records_by_count() -> None:
    assert by_count([READ, EXIT, UNKNOWN]) == [UNKNOWN, EXIT, READ]


def test_a_table_of_one_architecture_does_not_repeat_it() -> None:
    assert list(calls_table([UNKNOWN, READ])) == [
        "count  tests  collection  system call",
        "1,000      1              4000",
        "   23      2          10  read",
    ]


def test_a_table_of_several_architectures_says_which() -> None:
    phases = {("x86_64", 0): (2, 8, 0, 3)}
    assert list(calls_table([READ, EXIT], phases)) == [
        "count  tests  setup  call  shared  collection  system call",
        "   23      2      2     8       3          10  read (x86_64)",
        "   23      1                                   exit (i386)",
    ]


def test_in_a_narrow_terminal_phases_give_way_first() -> None:
    phases = {("x86_64", 0): (2, 8, 1, 3)}
    titles = [next(calls_table([READ], phases, width)) for width in (80, 70, 60, 55, 46, 40, 30)]
    assert titles == [
        "count  tests  setup  call  teardown  shared  collection  system call",
        "count  tests  setup  call  teardown  collection  system call",
        "count  tests  setup  call  collection  system call",
        "count  tests  call  collection  system call",
        "count  tests  collection  system call",
        "count  tests  system call",
        "count  system call",
    ]
