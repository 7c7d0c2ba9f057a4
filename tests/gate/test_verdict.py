"""Which denial fails what."""

import pytest
from denials import denial

from pytest_seccomp.gate.expectations import Expectation, of_marker
from pytest_seccomp.gate.verdict import FAIL, WARN, Judge, SessionVerdict, Verdict, asks_for_missing
from pytest_seccomp.trace.denials import Denial


def expecting(*names: str, strict: bool = False) -> list[Expectation]:
    """What a marker with these names says."""
    return of_marker(names, {"strict": strict}, "t.py::test_a")


def verdict(*denials: Denial, mode: str = FAIL, missing: tuple[str, ...] = ()) -> Verdict:
    """Of the call of a test."""
    return Verdict("t.py::test_a", "call", 0, mode, denials, missing)


def test_what_nobody_expects_is_unexpected() -> None:
    assert not Judge().judge(denial()).expected
    assert not Judge(expecting("bind")).judge(denial()).expected


@pytest.mark.parametrize("name", ["socket", "SOCKET", "41", "x86_64:socket", "x86_64:41", "0x29"])
def test_a_call_is_expected_by_any_of_its_names(name: str) -> None:
    assert Judge(expecting("bind", name)).judge(denial()).expected


@pytest.mark.parametrize("name", ["i386:socket", "42", "socketpair", "i386:41"])
def test_a_call_is_not_expected_by_another_name(name: str) -> None:
    assert not Judge(expecting(name)).judge(denial()).expected


def test_a_call_without_a_name_is_expected_by_its_number() -> None:
    unknown = denial(syscall=0x20000001, name=None)
    assert unknown.call == "x86_64:536870913"
    assert Judge(expecting(unknown.call)).judge(unknown).expected


@pytest.mark.parametrize("opinion", [True, False])
def test_an_opinion_goes_before_expectations(opinion: bool) -> None:
    assert Judge(expecting("socket")).judge(denial(), opinion).expected is opinion
    assert Judge().judge(denial(), opinion).expected is opinion


def test_notes_stay_with_the_denial() -> None:
    assert Judge().judge(denial(notes=("one",)), None, ["two"]).notes == ("one", "two")


def test_judging_changes_nothing_else() -> None:
    assert Judge(expecting("socket")).judge(denial()) == denial(expected=True)


def test_what_has_to_come_and_has_not_is_missing() -> None:
    judge = Judge([*expecting("socket", "bind", strict=True), *expecting("mount")])
    assert judge.missing == ["socket", "bind"]
    judge.judge(denial())
    assert judge.missing == ["bind"]
    judge.judge(denial(syscall=49, name="bind"))
    assert judge.missing == []


def test_a_denial_that_somebody_objects_to_has_come_nevertheless() -> None:
    judge = Judge(expecting("socket", strict=True))
    assert not judge.judge(denial(), False).expected
    assert judge.missing == []


def test_a_call_that_two_markers_demand_is_missing_once() -> None:
    assert Judge([*expecting("socket", strict=True), *expecting("socket", strict=True)]).missing == ["socket"]


def test_one_call_of_a_group_is_enough() -> None:
    judge = Judge(expecting("@mount", "@swap", strict=True))
    assert judge.judge(denial(name="umount2", syscall=166)).expected
    assert judge.missing == ["@swap"]


def test_no_denial_fails_nothing() -> None:
    assert not verdict().fails
    assert not verdict().is_worth_telling


def test_an_unexpected_denial_fails() -> None:
    mixed = verdict(denial(expected=True), denial(pid=1))
    assert mixed.fails
    assert mixed.unexpected == [denial(pid=1)]


def test_an_expected_denial_fails_nothing_and_is_not_worth_telling() -> None:
    assert not verdict(denial(expected=True)).fails
    assert not verdict(denial(expected=True)).is_worth_telling


def test_a_warning_fails_nothing_and_is_told() -> None:
    assert not verdict(denial(), mode=WARN).fails
    assert verdict(denial(), mode=WARN).is_worth_telling


@pytest.mark.parametrize("mode", [FAIL, WARN])
def test_what_a_test_itself_demands_fails_in_either_mode(mode: str) -> None:
    assert verdict(missing=("socket",), mode=mode).fails


@pytest.mark.parametrize(
    ("phase", "outcome", "asked"),
    [
        ("setup", "passed", False),
        ("call", "passed", True),
        ("call", "failed", False),
        ("call", "skipped", False),
        ("teardown", "passed", False),
    ],
)
def test_when_a_denial_must_have_come(phase: str, outcome: str, asked: bool) -> None:
    assert asks_for_missing(phase, outcome) is asked


@pytest.mark.parametrize(
    ("denials", "reasons", "mode", "fails"),
    [
        ([], [], FAIL, False),
        ([denial(expected=True)], [], FAIL, False),
        ([denial()], [], FAIL, True),
        ([denial(rerun=1, phase="late")], [], FAIL, True),
        ([], ["5 records lost"], FAIL, True),
        ([denial()], ["5 records lost"], WARN, False),
    ],
)
def test_a_session(denials: list[Denial], reasons: list[str], mode: str, fails: bool) -> None:
    assert SessionVerdict(mode, denials, reasons).fails is fails
