"""Calls that a profile does not allow: who made the first of each, and which of them pytest has not been told of yet.

They are made and counted as all others; what comes of them is pytest's to say.
"""

from __future__ import annotations

from pytest_seccomp.recorder.labels import COLLECTION, FIRST_TEST, PHASES

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_seccomp.linux.caller import Caller
    from pytest_seccomp.recorder.ledger import Counts

    Found = tuple[int, int, int, Caller | None]
    """The label, the call as the ledger has it, how many there were since it was told last, and who made the first of
    all under this label, None where that is not known."""


class Outside:
    """The calls outside of one profile, or of none: then none is."""

    __slots__ = ("_allowed", "_callers", "_told")

    def __init__(self, allowed: Iterable[int] | None = None) -> None:
        """`allowed` are calls as the ledger has them."""
        self._allowed = None if allowed is None else frozenset(allowed)
        self._callers: dict[int, dict[int, Caller]] = {}
        self._told: dict[int, Counts] = {}

    @property
    def is_asked(self) -> bool:
        """Whether pytest waits, at the end of each phase, for what there is to say."""
        return self._allowed is not None

    def allowed(self, label: int) -> frozenset[int] | None:
        """The calls for which nobody asks who made them under a label; None where nobody asks for any."""
        return self._allowed if label >= FIRST_TEST or label == COLLECTION else None

    def note(self, label: int, call: int, whose: Caller) -> None:
        """A call that is not allowed was made under a label, for the first time."""
        self._callers.setdefault(label, {}).setdefault(call, whose)

    def note_sandbox(self, label: int, argv: str, counts: Counts) -> None:
        """Calls were made under a label by a program in a sandbox, whose arguments are JSON: pid 0 stands for it."""
        allowed = self.allowed(label)
        for call in counts if allowed is not None else ():
            if allowed is not None and call not in allowed:
                self.note(label, call, (0, argv.encode(), None))

    def take(self, labels: Iterable[int], counts_of: Callable[[int], Counts]) -> list[Found]:
        """Of some labels, what was counted outside the profile since this was asked last."""
        found: list[Found] = []
        for label in labels:
            allowed, callers = self.allowed(label), self._callers.get(label, {})
            if allowed is None:
                continue
            told = self._told.setdefault(label, {})
            for call, count in counts_of(label).items():
                if call not in allowed and count != told.get(call, 0):
                    found.append((label, call, count - told.get(call, 0), callers.get(call)))
                    told[call] = count
        return found

    def end(self, base: int) -> None:
        """The run of a test is over."""
        for label in range(base, base + len(PHASES)):
            self._callers.pop(label, None)
            self._told.pop(label, None)
