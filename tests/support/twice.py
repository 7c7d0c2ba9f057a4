"""The same suite without tracing and with it: nothing that a test can see may differ."""

import json
import re
from dataclasses import dataclass
from typing import Any

from traced import Finished, Suite, Trace

_OUTCOME = re.compile(r"(?:PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS|SUBPASSED|SUBFAILED|RERUN)\b.*")


@dataclass(frozen=True, slots=True)
class Twice:
    """Two runs of a suite, of which only the second was traced."""

    plain: Finished
    traced: Finished
    seen_plain: dict[str, Any]
    seen: dict[str, Any]
    """What the tests of the traced run wrote into files *.json in the suite's folder, by the file's name."""

    @property
    def trace(self) -> Trace:
        """The trace of the second run."""
        return self.traced.trace()


def run_twice(suite: Suite, *arguments: str, status: int = 0, **settings: Any) -> Twice:
    """Run a suite without and with tracing; demand the exit status of both, and the same outcome of every test."""
    plain = suite.run("-rA", *arguments, **settings).expect(status)
    seen_plain = _take(suite)
    traced = suite.run("--seccomp-trace=out.ndjson", "-rA", *arguments, **settings).expect(status)
    seen = _take(suite)
    assert outcomes(traced) == outcomes(plain), f"{plain.output}\n--- traced\n{traced.output}"
    return Twice(plain, traced, seen_plain, seen)


def outcomes(finished: Finished) -> list[str]:
    """The lines of pytest's short summary, sorted."""
    return sorted(line for line in finished.stdout.splitlines() if _OUTCOME.fullmatch(line))


def _take(suite: Suite) -> dict[str, Any]:
    seen = {}
    for path in suite.folder.glob("*.json"):
        seen[path.stem] = json.loads(path.read_text(encoding="utf-8"))
        path.unlink()
    return seen
