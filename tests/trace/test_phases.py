"""Sums by phase."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from traces import PHASES, X86_64, final_line, lines, spooled_test

from pytest_seccomp.trace.phases import PhaseSums, of_line
from pytest_seccomp.trace.reading import LineParser
from pytest_seccomp.trace.records import Line


def parsed(members: dict[str, Any]) -> Line:
    line = LineParser()(json.dumps(members))  # one parser a line: equal calls are different objects then
    assert isinstance(line, Line)
    return line


@given(st.lists(lines, max_size=5))
def test_phases_add_up_by_call(spooled: list[dict[str, Any]]) -> None:
    sums = PhaseSums()
    expected: dict[tuple[str, int], list[int]] = {}
    for members in map(final_line, spooled):
        sums.add(parsed(members))
        for entry in members["syscalls"]:
            its = expected.setdefault((entry["arch"], entry["syscall"]), [0] * 4)
            for index, phase in enumerate(PHASES):
                its[index] += entry.get("phases", {}).get(phase, 0)
    assert sums.by_key() == expected


def test_phases_of_one_line_add_up_over_its_calls() -> None:
    calls = [[X86_64, 0, {"setup": 1, "call": 2}], [X86_64, 1, {"call": 3, "shared": 4}]]
    assert of_line(parsed(final_line(spooled_test("a", calls)))) == [1, 5, 0, 4]
    assert of_line(parsed(final_line(spooled_test("a", [])))) == [0, 0, 0, 0]
