"""The aggregation: PATH as a pure function of the lines of the tests file.

For each (architecture, number): what the tests made adds up; of what collecting made the largest line counts, because
every worker collects the same; the harness does not count. All of it is sums, maxima and conjunctions, so that neither
order nor grouping of the lines matters: shards can be merged in any way.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from pytest_seccomp.trace.counts import Call
from pytest_seccomp.trace.records import Line, Record, Run, Untold


@dataclass(slots=True)
class Sums:
    """What one call adds up to."""

    tests: int = 0
    """In how many runs of a test it was made."""
    in_tests: int = 0
    collection: int = 0
    harness: int = 0


@dataclass(slots=True, frozen=True)
class Figures:
    """A trace in a few numbers. `in_tests` and `collection` are in PATH, `harness` is not."""

    tests: int
    """Runs of a test."""
    distinct: int
    """Calls that differ in architecture or number."""
    in_tests: int
    collection: int
    harness: int
    untold: int = 0
    """Traces that came without their tests file: their calls are counted above, how many tests they had is unknown."""


@dataclass(slots=True)
class Totals:
    """What lines add up to."""

    complete: bool = True
    """That no line said otherwise."""
    lost: int | None = 0
    """Calls that are known to be missing; None as soon as one line cannot know."""
    reasons: list[str] = field(default_factory=list)
    runs: int = 0
    tests: int = 0
    """Runs of a test, those without a call included."""
    untold: int = 0
    """Traces that came without their tests file."""
    lines: int = 0
    """Of all kinds."""
    _sums: defaultdict[Call, Sums] = field(default_factory=lambda: defaultdict(Sums))
    _known: dict[tuple[str, int, str | None], Call] = field(default_factory=dict)

    def add(self, item: Run | Line | Untold) -> None:
        """Add what one line of a tests file says."""
        if isinstance(item, Line):
            self.add_line(item)
        elif isinstance(item, Untold):
            self.add_untold(item)
        else:
            self.lines += 1
            self.runs += 1
            self.lost = _sum(self.lost, item.lost)
            if not item.complete:
                self.mark_incomplete(item.reasons)

    def add_line(self, line: Line) -> None:
        """Add a test, a collection or a harness. What it lost is in its run's line already."""
        self.lines += 1
        sums = self._sums
        if line.head.kind == "test":
            self.tests += 1
            for call, counts in line.calls:
                its = sums[call]
                its.tests += 1
                its.in_tests += counts.count
        elif line.head.kind == "collect":
            for call, counts in line.calls:
                its = sums[call]
                its.collection = max(its.collection, counts.count)
        else:
            for call, counts in line.calls:
                sums[call].harness += counts.count
        if not line.head.complete:
            self.complete = False

    def add_untold(self, untold: Untold) -> None:
        """Add the records of a trace that came without its tests file."""
        for record in untold.records:
            its = self._sums_of(Call(record.arch, record.syscall, record.name))
            its.tests += record.tests
            its.in_tests += record.count - record.collection
            its.collection = max(its.collection, record.collection)
        self.lines += 1
        self.untold += 1
        if not untold.complete:
            self.mark_incomplete(["a trace that came without its tests file was incomplete"])

    def add_totals(self, other: "Totals") -> None:
        """Add what other lines add up to."""
        for call, sums in other._sums.items():
            its = self._sums_of(call)
            its.tests += sums.tests
            its.in_tests += sums.in_tests
            its.collection = max(its.collection, sums.collection)
            its.harness += sums.harness
        self.lines += other.lines
        self.runs += other.runs
        self.tests += other.tests
        self.untold += other.untold
        self.lost = _sum(self.lost, other.lost)
        if not other.complete:
            self.mark_incomplete(other.reasons)

    def mark_incomplete(self, reasons: Iterable[str]) -> None:
        """The trace may lack calls, for these reasons."""
        self.complete = False
        self.reasons += [reason for reason in dict.fromkeys(reasons) if reason not in self.reasons]

    def records(self) -> list[Record]:
        """The lines of PATH, sorted by architecture and number; none for what only the harness called."""
        return [
            Record(number, name, sums.in_tests + sums.collection, arch, sums.tests, sums.collection, self.complete)
            for (arch, number), (name, sums) in sorted(self._by_key().items())
            if sums.in_tests + sums.collection
        ]

    def figures(self) -> Figures:
        """The trace in a few numbers."""
        all_sums = [sums for _, sums in self._by_key().values()]
        return Figures(
            tests=self.tests,
            distinct=sum(1 for sums in all_sums if sums.in_tests + sums.collection),
            in_tests=sum(sums.in_tests for sums in all_sums),
            collection=sum(sums.collection for sums in all_sums),
            harness=sum(sums.harness for sums in all_sums),
            untold=self.untold,
        )

    def _sums_of(self, call: Call) -> Sums:
        """The sums for any Call object that means this call: a thousand shards then take no more room than one."""
        return self._sums[self._known.setdefault((*call.key, call.name), call)]

    def _by_key(self) -> dict[tuple[str, int], tuple[str | None, Sums]]:
        """Call objects are one for each reader: bring those together that are the same call."""
        found: dict[tuple[str, int], tuple[str | None, Sums]] = {}
        for call, sums in self._sums.items():
            name, its = found.get(call.key, (None, Sums()))
            its = Sums(
                its.tests + sums.tests,
                its.in_tests + sums.in_tests,
                max(its.collection, sums.collection),
                its.harness + sums.harness,
            )
            found[call.key] = (_name(name, call.name), its)
        return found


def _name(one: str | None, other: str | None) -> str | None:
    """An older table may not have known the name. Two tables that differ: either, but the same in any order."""
    return min((name for name in (one, other) if name is not None), default=None)


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
