"""Spools: their lines become lines of the tests file, and whatever is wrong with them makes the trace incomplete."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traces import END, X86_64, compact, final_line, lines, spooled_other, spooled_test, write_spool

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.records import Line
from pytest_seccomp.trace.spool import Spool, SpoolParser

PARSER = SpoolParser()  # of all examples: what it remembers of one must not show in another
FIRST = spooled_test("t.py::first", [[X86_64, 0, {"call": 1}]])
SECOND = spooled_test("t.py::second", [[X86_64, 0, {"call": 2}]])


def read(path: Path) -> tuple[list[str], Spool]:
    """The ids of the tests in a spool, and the spool."""
    spool = Spool(path, SpoolParser())
    return [line.nodeid for line in spool.lines()], spool


@given(lines)
def test_a_line_becomes_what_json_would_make_of_it(spooled: dict[str, Any]) -> None:
    line = PARSER(compact(spooled))
    assert isinstance(line, Line)
    assert line.format() == json.dumps(final_line(spooled)) + "\n"


@given(lines, st.randoms(use_true_random=False))
def test_a_line_of_another_shape_becomes_the_same(spooled: dict[str, Any], random: Any) -> None:
    """Members in any order, with spaces, with phases that made no call."""
    shuffled = list(spooled.items())
    random.shuffle(shuffled)
    other = json.loads(json.dumps(dict(shuffled)))
    if spooled["kind"] == "test":
        for entry in other["syscalls"]:
            entry[2] = {"shared": 0, "setup": 0, **entry[2]}
    line = PARSER(json.dumps(other) + "\n")
    assert isinstance(line, Line)
    assert line.format() == json.dumps(final_line(spooled)) + "\n"


@given(st.data())
def test_a_damaged_line_is_refused_or_is_sound_json(data: st.DataObject) -> None:
    text = compact(data.draw(lines))
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, min(len(text), begin + 12)))
    damaged = text[:begin] + text[end:]
    try:
        PARSER(damaged)
    except ValueError:
        return
    json.loads(damaged)


@pytest.mark.parametrize(
    "call",
    [
        [X86_64, 0],
        [X86_64, 0, 7],
        [X86_64, "0", {"call": 1}],
        [X86_64, True, {"call": 1}],
        [X86_64, 0, {"call": True}],
        [X86_64, 0, {"call": -1}],
        [X86_64, 0, {"collection": 1}],
        {"syscall": 0},
    ],
)
def test_a_call_of_another_kind_is_refused(call: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the reason is for nobody to read: see `damaged`
        SpoolParser()(compact(spooled_test("t.py::test", [call])))


def test_calls_are_sorted_by_the_name_of_the_architecture() -> None:
    i386 = 0x40000003
    line = SpoolParser()(
        compact(spooled_test("t", [[X86_64, 1, {"call": 1}], [X86_64, 0, {"call": 1}], [i386, 3, {"call": 1}]]))
    )
    assert isinstance(line, Line)
    assert [call.key for call, _ in line.calls] == [("i386", 3), ("x86_64", 0), ("x86_64", 1)]


def test_x32_calls_come_under_their_own_architecture() -> None:
    line = SpoolParser()(compact(spooled_test("t", [[X86_64, 0x40000000 | 39, {"call": 1}]])))
    assert isinstance(line, Line)
    assert [(call.key, call.name) for call, _ in line.calls] == [(("x32", 0x40000000 | 39), "getpid")]


def test_a_spool_with_its_end_is_complete(tmp_path: Path) -> None:
    found, spool = read(write_spool(tmp_path / "spool", [FIRST, SECOND]))
    assert found == ["t.py::first", "t.py::second"]
    assert (spool.complete, spool.lost, spool.reasons) == (True, 0, [])


def test_a_spool_without_its_end_is_incomplete_and_what_was_lost_is_unknown(tmp_path: Path) -> None:
    found, spool = read(write_spool(tmp_path / "spool", [FIRST, SECOND], end=None))
    assert found == ["t.py::first", "t.py::second"]
    assert (spool.complete, spool.lost) == (False, None)
    assert spool.reasons == ["the recorder did not come to its end"]


@pytest.mark.parametrize("after_end", [False, True])
def test_a_torn_tail_is_left_out_and_makes_the_spool_incomplete(tmp_path: Path, after_end: bool) -> None:
    path = write_spool(tmp_path / "spool", [FIRST], end=END if after_end else None)
    with path.open("a") as file:
        file.write(compact(SECOND)[:-30])
    found, spool = read(path)
    assert found == ["t.py::first"]
    assert (spool.complete, spool.lost) == (False, None)
    assert spool.reasons == ["the recorder did not come to its end"]


def test_every_torn_tail_keeps_the_lines_before_it(tmp_path: Path) -> None:
    whole = "".join(map(compact, [FIRST, SECOND, END]))
    path = tmp_path / "spool"
    for length in range(len(whole)):
        path.write_text(whole[:length])
        found, spool = read(path)
        assert found == ["t.py::first", "t.py::second"][: whole[:length].count("\n")]
        assert not spool.complete


def test_damage_in_the_middle_is_left_out_and_makes_the_spool_incomplete(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    path.write_bytes(compact(FIRST)[:40].encode() + compact(SECOND).encode() + b'{"\xff"}\n' + compact(FIRST).encode())
    with path.open("a") as file:
        file.write(compact(END))
    found, spool = read(path)
    assert found == ["t.py::first"]
    assert (spool.complete, spool.lost) == (False, None)
    assert spool.reasons == ["what the recorder wrote is damaged in 2 places"]


def test_reasons_name_the_worker(tmp_path: Path) -> None:
    end = {**END, "complete": False, "lost": 3, "reasons": ["the map was full", "pytest was killed"]}
    _, spool = read(write_spool(tmp_path / "spool", [{**FIRST, "worker": "gw1"}], end))
    assert (spool.complete, spool.lost) == (False, 3)
    assert spool.reasons == ["gw1: the map was full", "gw1: pytest was killed"]


@pytest.mark.parametrize(
    ("lines", "end", "reason"),
    [
        ([FIRST], {**END, "complete": False}, "the recorder's trace is incomplete"),
        ([FIRST], {**END, "lost": 2}, "calls lost: 2"),
        ([{**FIRST, "complete": False}, SECOND], END, "incomplete lines: 1"),
        ([spooled_other("collect", {}, complete=False)], END, "incomplete lines: 1"),
    ],
)
def test_an_incomplete_spool_has_a_reason_even_if_it_gives_none(
    tmp_path: Path, lines: list[dict[str, Any]], end: dict[str, Any], reason: str
) -> None:
    _, spool = read(write_spool(tmp_path / "spool", lines, end))
    assert (spool.complete, spool.reasons) == (False, [reason])


def test_a_spool_that_is_not_there_is_a_reason_not_an_error(tmp_path: Path) -> None:
    found, spool = read(tmp_path / "gone")
    assert (found, spool.complete, spool.lost) == ([], False, None)
    assert spool.reasons[0] == f"what the recorder wrote to {tmp_path / 'gone'} is gone: somebody has removed it"


def test_a_spool_that_is_there_and_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """Whoever went on without it would then remove it."""
    with pytest.raises(TraceError) as caught:
        read(tmp_path)
    assert str(caught.value) == (
        f"cannot read what was recorded in {tmp_path}: Is a directory (EISDIR): make it readable, or move it away"
    )
