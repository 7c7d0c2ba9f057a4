"""A warning of threads that policies do not hold for, because they were there before."""

import warnings
from collections import Counter

import pytest

from pytest_seccomp.errors import PolicyWarning
from pytest_seccomp.linux import threads
from pytest_seccomp.trace.table import printable


def warn(config: pytest.Config) -> None:
    """Name them in pytest's summary, that of a controller where this is a worker of xdist."""
    outside = threads.under_fewer_filters()
    if hasattr(config, "workerinput"):
        # Of execnet, which receives what the controller sends: the first that a worker starts, and no test's
        outside = outside[1:]
    if not outside:
        return
    counts = Counter(map(printable, threads.names(outside)))
    names = ", ".join(f"{name} ({count} threads)" if count > 1 else name for name, count in counts.items())
    text = (
        f"the policies of tests (@pytest.mark.seccomp) do not hold for threads that were there before: {names}: start "
        "them in a fixture"
    )
    # Not by warnings.warn: where warnings are errors, it would be one of the session
    message = warnings.WarningMessage(PolicyWarning(text), PolicyWarning, __file__, 1)
    recorded = {"warning_message": message, "when": "collect", "nodeid": "", "location": None}
    config.hook.pytest_warning_recorded.call_historic(kwargs=recorded)
