"""What is said of a denial: by the markers of the test, the ini file and other plugins."""

from collections.abc import Iterable, Sequence

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.gate.expectations import MARKER, Expectation, of_marker
from pytest_seccomp.gate.verdict import Judge
from pytest_seccomp.linux.syscalls import SystemCall
from pytest_seccomp.trace.denials import Denial


class Judging:
    """Judges the denials of one run of a test, or of what surrounds the tests, where `item` is None."""

    def __init__(
        self, config: pytest.Config, expected: Sequence[Expectation] = (), item: pytest.Item | None = None
    ) -> None:
        """`expected` is what every test expects."""
        self._config = config
        self.error: str | None = None
        """What is wrong with the test's markers."""
        self.expectations = list(expected)
        if item is not None:
            try:
                for marker in item.iter_markers(MARKER):
                    self.expectations += of_marker(marker.args, marker.kwargs, item.nodeid)
            except SeccompError as error:
                self.error = str(error)
        self._judge = Judge(self.expectations)

    def judge(self, denial: Denial, item: pytest.Item | None) -> Denial:
        """The denial, expected or not, with what other plugins say of it."""
        denial = self._judge.judge(denial)
        notes: list[str] = []
        hook = self._config.hook if item is None else item.ihook
        opinions = hook.pytest_seccomp_denial(denial=denial, notes=notes, item=item)
        return self._judge.judge(denial, _opinion(opinions), notes)

    @property
    def missing(self) -> list[str]:
        """The calls and groups, as the user has named them, of which a denial has to come and has not."""
        return self._judge.missing

    def missing_of(self, calls: Iterable[SystemCall]) -> list[str]:
        """Those of them that are about some calls."""
        missing = self.missing
        return [
            expectation.text
            for expectation in self.expectations
            if expectation.text in missing
            and any(wanted.is_met_by(*call) for wanted in expectation.calls for call in calls)
        ]


def _opinion(opinions: Sequence[object]) -> bool | None:
    """The first of the plugins' opinions. Raises TypeError where one is none."""
    for opinion in opinions:
        if not isinstance(opinion, bool):
            raise TypeError(
                f"pytest_seccomp_denial returned {opinion!r}: return True (expected), False (unexpected) or None"
            )
        return opinion
    return None
