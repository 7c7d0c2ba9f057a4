"""The verdict: whether what was denied fails a test, or the session. Computed once; reports, the summary and the exit
status only say it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pytest_seccomp.gate.expectations import Expectation
from pytest_seccomp.trace.denials import CALL, Denial

FAIL, WARN = MODES = ("fail", "warn")
"""What a denial that nobody expected does."""


class Judge:
    """Judges the denials of one run of a test by what is expected, and remembers which of it has come."""

    __slots__ = ("_expectations", "_met")

    def __init__(self, expectations: Sequence[Expectation] = ()) -> None:
        self._expectations = expectations
        self._met: set[Expectation] = set()

    def judge(self, denial: Denial, opinion: bool | None = None, notes: Sequence[str] = ()) -> Denial:
        """The denial, expected or not; one that is already, by what was said of a sandbox, stays so. An opinion, where
        somebody has one, goes before what markers and the ini file say."""
        meeting = [expectation for expectation in self._expectations if expectation.is_met_by(denial)]
        self._met.update(meeting)
        expected = denial.expected or bool(meeting) if opinion is None else opinion
        return replace(denial, expected=expected, notes=(*denial.notes, *notes))

    @property
    def missing(self) -> list[str]:
        """The calls and groups, as the user has named them, of which a denial has to come and has not."""
        wanted = [
            expectation.text
            for expectation in self._expectations
            if expectation.strict and expectation not in self._met
        ]
        return list(dict.fromkeys(wanted))


@dataclass(slots=True, frozen=True)
class Verdict:
    """What a phase of a test comes to."""

    nodeid: str
    phase: str
    rerun: int
    mode: str
    """FAIL or WARN."""
    denials: Sequence[Denial]
    """Those of the phase, judged."""
    missing: Sequence[str] = field(default=())
    """Calls whose denial had to come and did not. That is the test's own demand: it fails in either mode."""

    @property
    def unexpected(self) -> list[Denial]:
        """Those that nobody expected."""
        return unexpected(self.denials)

    @property
    def fails(self) -> bool:
        """Whether the phase fails for it."""
        return bool(self.missing) or (self.mode == FAIL and bool(self.unexpected))

    @property
    def is_worth_telling(self) -> bool:
        """Whether there is anything that a user has to know."""
        return bool(self.missing or self.unexpected)


def unexpected(denials: Sequence[Denial]) -> list[Denial]:
    """Those among them that nobody expected."""
    return [denial for denial in denials if not denial.expected]


def asks_for_missing(phase: str, outcome: str) -> bool:
    """Whether a test must have had by now the denials that have to come: when its call has ended, unless it was skipped
    or has failed, of which there is a report already."""
    return phase == CALL and outcome == "passed"


@dataclass(slots=True, frozen=True)
class SessionVerdict:
    """What a whole session comes to."""

    mode: str
    denials: Sequence[Denial]
    reasons: Sequence[str]
    """Why denials may be missing. What nobody has seen passes no gate."""

    @property
    def unexpected(self) -> list[Denial]:
        """Those that nobody expected, of whatever phase and rerun: a run that was clean later heals nothing."""
        return unexpected(self.denials)

    @property
    def fails(self) -> bool:
        """Whether the session fails for it."""
        return self.mode == FAIL and bool(self.unexpected or self.reasons)
