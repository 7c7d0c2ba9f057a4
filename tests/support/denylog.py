"""Deny logs as plain objects, read as a user's program would; and what suites need that are denied something."""

import json
import platform
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traced import Finished, Suite

NUMBERS = {"x86_64": {"socket": 41, "bind": 49}, "aarch64": {"socket": 198, "bind": 200}}.get(platform.machine(), {})
"""Of the calls that the suites of these tests are denied."""

SUPPORT = str(Path(__file__).parent)

_FORKS = "ignore:This process:DeprecationWarning"
"""From Python 3.12 on a fork warns where a plugin has started a thread."""

DENIED = f"""
import sys
sys.path.append({SUPPORT!r})
import logged, os, pathlib, pytest, time
from denying import child
SOCKET, BIND = {NUMBERS.get("socket", -1)}, {NUMBERS.get("bind", -1)}

def denied(verdict=logged.ERRNO | 1, number=SOCKET, **settings):
    # By the filter of a grandchild, which has ended when this returns
    return child(verdict, number=number, generation=2, **settings)[0]

"""
"""The beginning of a module of tests: `denied()` has a grandchild denied a socket, and returns its pid."""


@dataclass(frozen=True, slots=True)
class DenyLog:
    """A deny log. `reasons` is None where it is complete."""

    records: list[dict[str, Any]]
    reasons: list[str] | None

    @classmethod
    def read(cls, path: Path) -> "DenyLog":
        """Read PATH. Raises where a line is torn."""
        text = path.read_text(encoding="utf-8")
        assert text.endswith("\n") or not text, f"{path}: torn last line"
        lines = [json.loads(line) for line in text.splitlines()]
        reasons = None
        if lines:
            assert lines[0].pop("lines") == len(lines) - 1
        if lines and "complete" in lines[0]:
            first = lines.pop(0)
            assert first["complete"] is False
            reasons = first["reasons"]
        return cls(lines, reasons)

    @property
    def complete(self) -> bool:
        """Whether nothing can be missing."""
        return self.reasons is None

    @property
    def places(self) -> Counter[tuple[str, str, str]]:
        """How often a call was denied: by the test's name, or "" for none, phase and call."""
        found: Counter[tuple[str, str, str]] = Counter()
        for record in self.records:
            test = (record["nodeid"] or "").rpartition("::")[2]
            found[test, record["phase"], record["name"]] += record["count"]
        return found


def watched(suite: Suite, *arguments: str, status: int, **settings: Any) -> tuple[Finished, DenyLog]:
    """Run pytest with --seccomp-deny-log=denied.ndjson, demand its exit status, and read the log."""
    options = ["--seccomp-deny-log=denied.ndjson", "-W", _FORKS]
    finished = suite.run(*options, *arguments, **settings).expect(status)
    return finished, DenyLog.read(suite.folder / "denied.ndjson")
