"""What a trace is, in words and for a program."""

import json
from collections.abc import Sequence
from pathlib import Path

from commands import Trace
from traces import objects

from pytest_seccomp.cli.loading import figures_members, load
from pytest_seccomp.trace.records import Line, Untold
from pytest_seccomp.trace.totals import Figures


def write(path: Path, members: Sequence[object]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in members))


def test_figures_for_a_program() -> None:
    assert figures_members(Figures(1, 2, 3, 4, 5, untold=6)) == {
        "tests_run": 1,
        "traces_without_tests": 6,
        "distinct": 2,
        "calls_in_tests": 3,
        "calls_in_collection": 4,
        "calls_in_harness": 5,
    }


def test_each_line_but_those_of_runs_is_shown_to_the_visitor(trace: Trace) -> None:
    visited: list[tuple[Line | Untold, int]] = []
    loaded = load(trace(), lambda item, run: visited.append((item, run)))
    assert [item.head.kind for item, _ in visited if isinstance(item, Line)] == ["collect", *["test"] * 4, "harness"]
    assert [run for _, run in visited] == [1] * 6
    assert [run.workers for run in loaded.runs] == [1]


def test_an_incomplete_trace_has_a_reason_even_if_it_gives_none(trace: Trace) -> None:
    path = trace()
    tests = path.with_name("out.tests.ndjson")
    path.unlink()  # which would have to say it in every record
    found = objects(tests)
    found[2]["complete"] = False
    write(tests, found)
    loaded = load(tests, lambda *_: None)
    assert loaded.reasons == loaded.members()["reasons"] == ["lines of it say so, without a reason"]
    assert list(loaded.heading())[2:] == [
        "INCOMPLETE: calls may be missing:",
        "  lines of it say so, without a reason",
    ]
