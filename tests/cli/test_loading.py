"""What a trace is, in words and for a program."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from commands import Trace
from traces import objects

from pytest_seccomp.cli.loading import figures_members, in_words, load, plural
from pytest_seccomp.trace.records import Line, Untold
from pytest_seccomp.trace.totals import Figures


def write(path: Path, members: Sequence[object]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in members))


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


def test_figures_for_a_program() -> None:
    assert figures_members(Figures(1, 2, 3, 4, 5, untold=6)) == {
        "tests_run": 1,
        "traces_without_tests": 6,
        "distinct": 2,
        "calls_in_tests": 3,
        "calls_in_collection": 4,
        "calls_in_harness": 5,
    }


def test_plural() -> None:
    assert [plural(count, "call") for count in (0, 1, 2, 1000)] == ["0 calls", "1 call", "2 calls", "1,000 calls"]


def test_each_line_but_those_of_runs_is_shown_to_the_visitor(trace: Trace) -> None:
    visited: list[Line | Untold] = []
    loaded = load(trace(), visited.append)
    assert [item.head.kind for item in visited if isinstance(item, Line)] == ["collect", *["test"] * 4, "harness"]
    assert len(visited) == 6
    assert [run.workers for run in loaded.runs] == [1]


def test_an_incomplete_trace_has_a_reason_even_if_it_gives_none(trace: Trace) -> None:
    path = trace()
    tests = path.with_name("out.tests.ndjson")
    path.unlink()  # which would have to say it in every record
    found = objects(tests)
    found[2]["complete"] = False
    write(tests, found)
    loaded = load(tests, lambda _: None)
    assert loaded.reasons == loaded.members()["reasons"] == ["lines of it say so, without a reason"]
    assert list(loaded.heading())[2:] == [
        "INCOMPLETE: calls may be missing:",
        "  lines of it say so, without a reason",
    ]
