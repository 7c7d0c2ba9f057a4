"""The outcome of a test, from the reports of its phases."""

from typing import Literal

import pytest

from pytest_seccomp.plugin.outcome import Outcome

When = Literal["setup", "call", "teardown"]
Result = Literal["passed", "failed", "skipped", "rerun"]


def report(when: When, outcome: Result, *, xfail: bool = False) -> pytest.TestReport:
    made = pytest.TestReport("t.py::a", ("t.py", 0, "a"), {}, "passed", None, when)
    made.outcome = outcome  # type: ignore[assignment]  # pytest-rerunfailures sets one that pytest does not have
    if xfail:
        made.wasxfail = "a reason"  # as pytest does, without declaring it
    return made


PASSED: dict[When, pytest.TestReport] = {when: report(when, "passed") for when in ("setup", "call", "teardown")}


@pytest.mark.parametrize(
    ("reports", "name"),
    [
        ([], None),
        ([PASSED["setup"]], "passed"),
        ([PASSED["setup"], PASSED["call"], PASSED["teardown"]], "passed"),
        ([PASSED["setup"], report("call", "failed"), PASSED["teardown"]], "failed"),
        ([PASSED["setup"], report("call", "skipped"), PASSED["teardown"]], "skipped"),
        ([report("setup", "skipped"), PASSED["teardown"]], "skipped"),
        ([report("setup", "failed"), PASSED["teardown"]], "error"),
        ([PASSED["setup"], PASSED["call"], report("teardown", "failed")], "error"),
        ([PASSED["setup"], report("call", "failed"), report("teardown", "failed")], "failed"),
        ([PASSED["setup"], report("call", "skipped"), report("teardown", "failed")], "error"),
        ([PASSED["setup"], report("call", "skipped", xfail=True), PASSED["teardown"]], "xfailed"),
        ([PASSED["setup"], report("call", "passed", xfail=True), PASSED["teardown"]], "xpassed"),
        ([PASSED["setup"], report("call", "failed", xfail=True), PASSED["teardown"]], "failed"),
        ([report("setup", "skipped", xfail=True), PASSED["teardown"]], "xfailed"),
        ([PASSED["setup"], report("call", "skipped", xfail=True), report("teardown", "failed")], "error"),
        ([PASSED["setup"], report("call", "rerun"), PASSED["teardown"]], "rerun"),
        ([report("setup", "rerun"), PASSED["teardown"]], "rerun"),
    ],
)
def test_outcomes(reports: list[pytest.TestReport], name: str | None) -> None:
    outcome = Outcome()
    for each in reports:
        outcome.add(each)
    assert outcome.name == name
    assert outcome.is_known is (name is not None)
