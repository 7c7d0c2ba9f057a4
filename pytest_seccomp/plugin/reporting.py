"""Saying in a test's report what was found beside its own outcome."""

import pytest


def say(report: pytest.TestReport, section: str, text: str, *, fails: bool) -> None:
    """Have the report fail with a text, over xfail, xpass and skip; one that failed anyway keeps its traceback, and has
    the text in a section, as one that does not fail for it."""
    if not fails or report.outcome == "failed":
        report.sections.append((section, text))
        return
    report.outcome = "failed"
    report.longrepr = text
    if hasattr(report, "wasxfail"):  # or it would be shown as an xfail
        del report.wasxfail
