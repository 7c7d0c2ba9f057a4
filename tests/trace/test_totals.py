"""The aggregation: PATH follows from the lines of the tests file, in whatever order and grouping they come."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traces import final_line, lines, run, spooled_other, spooled_test, trace_of

from pytest_seccomp.trace.reading import LineParser
from pytest_seccomp.trace.records import Record, Untold
from pytest_seccomp.trace.totals import Figures, Totals

X86_64 = 0xC000003E
shards = st.lists(st.lists(lines, max_size=4), max_size=4)


def totals_of(*found: dict[str, Any]) -> Totals:
    """What these lines of a tests file add up to."""
    parser, totals = LineParser(), Totals()
    for members in found:
        item = parser(json.dumps(members) + "\n")
        assert not isinstance(item, Record)
        totals.add(item)
    return totals


def trace(totals: Totals) -> list[dict[str, Any]]:
    return [json.loads(record.format()) for record in totals.records()]


@given(st.lists(lines, max_size=6))
def test_path_is_what_the_rule_says(spooled: list[dict[str, Any]]) -> None:
    found = [final_line(line) for line in spooled]
    assert trace(totals_of(*found)) == trace_of(found, complete=all(line["complete"] for line in found))


@given(shards, st.randoms(use_true_random=False))
def test_shards_merge_in_any_order_and_grouping_to_the_same(spooled: list[list[dict[str, Any]]], random: Any) -> None:
    found = [[final_line(line) for line in shard] for shard in spooled]
    expected = trace(totals_of(*(line for shard in found for line in shard)))
    parts = [totals_of(*shard) for shard in found] or [Totals()]
    while len(parts) > 1:
        one, other = parts.pop(random.randrange(len(parts))), parts.pop(random.randrange(len(parts)))
        one.add_totals(other)
        parts.insert(random.randrange(len(parts) + 1), one)
    assert trace(parts[0]) == expected


@given(shards, st.sets(st.integers(0, 3)))
def test_shards_of_which_only_path_is_left_merge_to_the_same(
    spooled: list[list[dict[str, Any]]], left: set[int]
) -> None:
    """Counts of tests add up, of collections the largest counts: PATH alone tells both."""
    found = [[final_line(line) for line in shard] for shard in spooled]
    totals = Totals()
    for index, shard in enumerate(found):
        part = totals_of(*shard)
        if index in left:
            totals.add(Untold(part.records(), part.complete))
        else:
            totals.add_totals(part)
    assert trace(totals) == trace(totals_of(*(line for shard in found for line in shard)))


def test_an_example_by_hand() -> None:
    read, write = (X86_64, 0), (X86_64, 1)
    totals = totals_of(
        json.loads(run().format()),
        final_line(spooled_other("collect", {read: 10, write: 1}, worker="gw0")),
        final_line(spooled_other("collect", {read: 12}, worker="gw1")),
        final_line(spooled_test("a", [[*read, {"setup": 2, "call": 7}]])),
        final_line(spooled_test("a", [[*read, {"call": 1}]], rerun=1)),
        final_line(spooled_test("b", [])),
        final_line(spooled_other("harness", {read: 1000, (X86_64, 39): 5})),
    )
    assert totals.records() == [Record(0, "read", 22, "x86_64", 2, 12), Record(1, "write", 1, "x86_64", 0, 1)]
    assert totals.figures() == Figures(tests=3, distinct=2, in_tests=10, collection=13, harness=1005)
    assert totals.runs == 1


@pytest.mark.parametrize("order", [1, -1])
def test_a_name_that_one_table_lacked_is_kept(order: int) -> None:
    old = Untold([Record(470, None, 1, "x86_64", 1, 0)], complete=True)
    new = Untold([Record(470, "listns", 2, "x86_64", 1, 0)], complete=True)
    totals = Totals()
    for untold in [old, new][::order]:
        totals.add(untold)
    assert totals.records() == [Record(470, "listns", 3, "x86_64", 2, 0)]


def test_what_was_lost_is_unknown_as_soon_as_one_run_does_not_know() -> None:
    totals = Totals()
    totals.add(run(complete=False, lost=3, reasons=["full"]))
    totals.add(run(complete=False, lost=4, reasons=["full", "killed"]))
    assert (totals.lost, totals.complete, totals.reasons) == (7, False, ["full", "killed"])
    totals.add(run(complete=False, lost=None, reasons=["torn"]))
    assert (totals.lost, totals.reasons) == (None, ["full", "killed", "torn"])


def test_an_incomplete_part_makes_every_record_incomplete() -> None:
    read = [X86_64, 0, {"call": 1}]
    part = totals_of(final_line(spooled_test("a", [read], complete=False)))
    whole = totals_of(final_line(spooled_test("b", [read])))
    whole.add_totals(part)
    assert whole.records() == [Record(0, "read", 2, "x86_64", 2, 0, complete=False)]


def test_records_without_tests_that_were_incomplete_say_so() -> None:
    totals = Totals()
    totals.add(Untold([], complete=False))
    assert not totals.complete
    assert totals.reasons == ["a trace that came without its tests file was incomplete"]
