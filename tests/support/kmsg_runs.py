"""Runs under the kmsg backend. What the kernel prints is shared with all that is logged on this machine: whatever
depends on it is tried again."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from running import until
from traced import Finished, Suite

from pytest_seccomp.linux import audit_control

KMSG = "--seccomp-backend=kmsg"


def skip_unless_printing() -> None:
    """The kernel prints its records, and not all of them."""
    with contextlib.suppress(OSError):  # without CAP_AUDIT_CONTROL it is not known
        if audit_control.status().auditd:
            pytest.skip("auditd runs and takes the records")
    limit = [int(Path(f"/proc/sys/kernel/printk_ratelimit{name}").read_text()) for name in ("", "_burst")]
    if not all(limit):
        pytest.skip("the kernel prints as much as it is told")


def run(suite: Suite, *arguments: str, **settings: Any) -> Finished:
    """A run with status 0, when the kernel has printed something of it."""

    def finished() -> Finished | None:
        found = suite.run("--seccomp-trace=out.ndjson", KMSG, *arguments, **settings)
        return None if found.status == pytest.ExitCode.USAGE_ERROR and "of other processes" in found.stderr else found

    found = until("a run of which something is printed", finished)
    assert found is not None
    return found.expect(0)
