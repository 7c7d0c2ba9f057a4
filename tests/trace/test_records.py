"""Objects of a trace: what they are made of, and their text, which must be what json makes of them."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traces import PHASES, final_line, lines, run

from pytest_seccomp.trace.counts import Call, Counts
from pytest_seccomp.trace.records import Head, Line, Record, Run, Untold

counts = st.integers(0, 10**12)
RECORD = {"syscall": 0, "name": "read", "count": 9, "arch": "x86_64", "tests": 2, "collection": 4}


@given(lines)
def test_a_line_is_written_as_json_writes_it(spooled: dict[str, Any]) -> None:
    members = final_line(spooled)
    assert Line.from_object(members).format() == json.dumps(members) + "\n"


@given(st.integers(), st.none() | st.text(), st.text())
def test_a_calls_text_is_what_json_makes_of_its_members(number: int, name: str | None, arch: str) -> None:
    members = {"syscall": number, "name": name, "arch": arch}
    call = Call.from_object(members)
    assert "{" + call.text + "}" == json.dumps(members)
    assert call.key == (arch, number)


@given(st.dictionaries(st.sampled_from(PHASES), counts))
def test_counts_add_up_their_phases_in_order_without_zeros(phases: dict[str, int]) -> None:
    made = {phase: phases[phase] for phase in PHASES if phases.get(phase)}
    found = Counts.from_phases(phases)
    assert '{"count": ' + found.text + "}" == json.dumps({"count": sum(phases.values()), "phases": made})
    assert (found.count, found.phases) == (sum(phases.values()), made)


def test_counts_that_are_not_the_sum_of_their_phases_are_refused() -> None:
    with pytest.raises(ValueError, match='"count" is 9, but its phases make 8'):
        Counts.from_object({"count": 9, "phases": {"setup": 2, "call": 6}})
    with pytest.raises(ValueError, match='unknown phase "dreaming"'):
        Counts.from_object({"count": 9, "phases": {"dreaming": 9}})


@pytest.mark.parametrize("complete", [True, False])
def test_a_record_says_that_it_is_incomplete_at_its_end_and_only_then(complete: bool) -> None:
    members = RECORD if complete else {**RECORD, "complete": False}
    record = Record.from_object(members)
    assert record.complete is complete
    assert record.format() == json.dumps(members) + "\n"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"syscall": "0"}, '"syscall" cannot be "0"'),
        ({"syscall": True}, '"syscall" cannot be true'),
        ({"count": 9.0}, '"count" cannot be 9.0'),
        ({"count": -1}, '"count" cannot be -1'),
        ({"collection": 10}, '"collection" is 10, more than "count", which is 9'),
        ({"arch": None}, '"arch" cannot be null'),
        ({"complete": "no"}, '"complete" cannot be "no"'),
        ({"name": ["x" * 1000]}, '"name" cannot be ["xxx'),
    ],
)
def test_a_record_of_wrong_members_is_refused_in_a_few_words(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as caught:
        Record.from_object({**RECORD, **change})
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("name", RECORD)
def test_a_record_that_lacks_a_member_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f'"{name}" is missing'):
        Record.from_object({key: value for key, value in RECORD.items() if key != name})


def test_a_run_has_reasons_only_where_it_is_incomplete() -> None:
    text = run().format()
    assert json.loads(text) == {
        "kind": "run",
        "format": 1,
        "backend": "notify",
        "complete": True,
        "lost": 0,
        "exit_status": 0,
        "selection": ["tests"],
        "python": "3.13.0",
        "pytest": "9.0.0",
        "kernel": "6.12.0",
        "arch": "x86_64",
        "workers": 0,
    }
    assert list(json.loads(text))[:6] == ["kind", "format", "backend", "complete", "lost", "exit_status"]
    incomplete = run(complete=False, lost=None, exit_status=None, reasons=["killed"])
    assert list(json.loads(incomplete.format()))[-2:] == ["workers", "reasons"]
    assert Run.from_object(json.loads(incomplete.format())) == incomplete


def test_a_run_of_a_newer_format_asks_for_an_update() -> None:
    with pytest.raises(ValueError, match="format 2 is newer than this pytest-seccomp, which reads 1: update it"):
        Run.from_object({**run().members, "format": 2})


def test_a_run_of_wrong_texts_is_refused() -> None:
    with pytest.raises(ValueError, match="lists of texts"):
        Run.from_object({**run().members, "selection": [1]})


def test_an_unknown_kind_of_line_is_refused() -> None:
    with pytest.raises(ValueError, match='unknown kind of line "dream"'):
        Head.from_object({"kind": "dream"})


def test_records_without_their_tests_make_a_line() -> None:
    members = {"kind": "trace", "complete": True, "syscalls": [RECORD]}
    untold = Untold.from_object(members)
    assert untold.records == [Record(0, "read", 9, "x86_64", 2, 4)]
    assert untold.format() == json.dumps(members) + "\n"
