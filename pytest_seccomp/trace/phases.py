"""The aggregation by phase, which PATH does not have: for showing a trace."""

from collections import defaultdict
from dataclasses import dataclass, field

from pytest_seccomp.trace.counts import PHASES, Call
from pytest_seccomp.trace.records import Line


@dataclass(slots=True)
class PhaseSums:
    """How often the tests of a trace made each call in each phase."""

    _sums: defaultdict[Call, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0] * len(PHASES)))

    def add(self, line: Line) -> None:
        """Add the counts of a test; other lines have none."""
        for call, counts in line.calls:
            its = self._sums[call]
            for index, count in enumerate(counts.by_phase):
                its[index] += count

    def by_key(self) -> dict[tuple[str, int], list[int]]:
        """The sums, in the order of PHASES, by architecture and number."""
        found: dict[tuple[str, int], list[int]] = {}
        for call, sums in self._sums.items():
            earlier = found.get(call.key, [0] * len(PHASES))
            found[call.key] = [one + other for one, other in zip(earlier, sums, strict=True)]
        return found


def of_line(line: Line) -> list[int]:
    """How many calls a test made in each phase, in the order of PHASES."""
    return [sum(counts) for counts in zip(*(counts.by_phase for _, counts in line.calls), strict=True)] or [0] * len(
        PHASES
    )
