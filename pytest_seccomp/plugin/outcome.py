"""The outcome of one run of a test, from the reports of its phases."""

import pytest

_FINAL = ("failed", "error", "rerun")


class Outcome:
    """passed, failed, skipped, xfailed, xpassed, error (in setup or teardown) or rerun; None until a report says so.

    The first failure is the outcome, whatever else is reported.
    """

    __slots__ = ("name",)

    def __init__(self) -> None:
        self.name: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether a report has come."""
        return self.name is not None

    def repeated(self) -> None:
        """The test is run again, which pytest-retry reports of its first run only."""
        if self.name is None:
            self.name = "rerun"

    def add(self, report: pytest.TestReport) -> None:
        """Take a report of a phase into account."""
        if self.name in _FINAL:
            return
        outcome: str = report.outcome
        if outcome == "failed" and report.when != "call":
            self.name = "error"
        elif hasattr(report, "wasxfail") and outcome in ("skipped", "passed"):
            self.name = "xfailed" if outcome == "skipped" else "xpassed"
        elif outcome != "passed" or report.when == "call" or self.name is None:
            self.name = outcome
