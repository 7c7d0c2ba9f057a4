"""What a verdict does to a report."""

import pytest
from denials import denial

from pytest_seccomp.gate.verdict import FAIL, WARN, Verdict
from pytest_seccomp.plugin.denials.watching import SECTION, apply
from pytest_seccomp.trace.denials import Denial


def report(outcome: str = "passed", longrepr: object = None, **members: object) -> pytest.TestReport:
    """The report of a call."""
    return pytest.TestReport(
        nodeid="t.py::test_a", location=("t.py", 0, "test_a"), keywords={}, outcome=outcome,  # type: ignore[arg-type]
        longrepr=longrepr, when="call", **members,  # type: ignore[arg-type]
    )  # fmt: skip


def verdict(*denials: Denial, mode: str = FAIL, missing: tuple[str, ...] = ()) -> Verdict:
    """Of that call."""
    return Verdict("t.py::test_a", "call", 0, mode, denials, missing)


@pytest.mark.parametrize("outcome", ["passed", "skipped"])
@pytest.mark.parametrize("xfail", [None, "", "a reason"])
def test_a_report_fails_whatever_it_was(outcome: str, xfail: str | None) -> None:
    one = report(outcome, longrepr=("t.py", 1, "Skipped: why") if outcome == "skipped" else None)
    if xfail is not None:
        one.wasxfail = xfail
    apply(verdict(denial()), one)
    assert one.failed
    assert not hasattr(one, "wasxfail")
    assert str(one.longrepr).startswith("seccomp denied socket to curl (errno)\n")
    assert one.sections == []


def test_a_report_that_has_failed_gets_a_section() -> None:
    one = report("failed", longrepr="its own")
    apply(verdict(denial()), one)
    assert one.longrepr == "its own"
    ((title, text),) = one.sections
    assert title == SECTION
    assert text.startswith("seccomp denied socket to curl (errno)\n")


def test_a_warning_is_a_section() -> None:
    one = report()
    apply(verdict(denial(), mode=WARN), one)
    assert one.passed
    assert [title for title, _ in one.sections] == [SECTION]


def test_what_is_missing_fails() -> None:
    one = report()
    apply(verdict(denial(expected=True), missing=("bind",)), one)
    assert one.failed
    assert str(one.longrepr).startswith("expected denial of bind did not come\n")


@pytest.mark.parametrize("denials", [(), (denial(expected=True),)])
def test_a_report_stays_as_it_is(denials: tuple[Denial, ...]) -> None:
    one = report("skipped", longrepr="why", wasxfail="why")
    apply(verdict(*denials), one)
    assert (one.outcome, one.longrepr, one.wasxfail, one.sections) == ("skipped", "why", "why", [])
    assert hasattr(one, "seccomp_denials") is bool(denials)


def test_records_are_plain_and_can_be_sent() -> None:
    one = report()
    apply(verdict(denial(comm="\udcff", args=(1, 2, 3, 4, 5, 6), notes=("é",))), one)
    again = pytest.TestReport._from_json(one._to_json())
    (record,) = again.seccomp_denials
    assert record["comm"] == r"\udcff"
    assert record["args"] == (1, 2, 3, 4, 5, 6)
    assert record["notes"] == ["é"]
    assert record["expected"] is False
