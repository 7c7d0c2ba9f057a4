"""What a supervisor has seen of its sandbox: how often each call was made, and what was denied.

A flood of denials takes a bounded amount of memory: beyond a number of different ones, only the first of each call and
action is told apart, and its count goes on being exact.
"""

from pytest_seccomp.linux.caller import Caller

MOST = 1000
"""Different denials that are kept apart."""

Key = tuple[object, ...]
Report = tuple[dict[int, int], list[tuple[object, ...]]]
"""Counts by call (AUDIT_ARCH_* << 32 | number), and denials as they are sent."""


class Denials:
    """Equal ones are one, with a count."""

    __slots__ = ("_counts", "_merged")

    def __init__(self) -> None:
        self._counts: dict[Key, int] = {}
        self._merged: dict[Key, Key] = {}

    def add(
        self,
        call: int,
        action: str,
        error: int,
        caller: Caller,
        arguments: tuple[int, ...],
        texts: dict[int, str],
        exact: bool,
    ) -> None:
        """One more. `call` is AUDIT_ARCH_* << 32 | number; `error` the error that it got, 0 where it got none; `texts`
        are the strings that its arguments point to, by their index; `exact` whether it got the kernel's own verdict."""
        key: Key = (call, action, error, *caller, arguments, tuple(sorted(texts.items())), exact)
        if key not in self._counts:
            if len(self._counts) >= MOST:
                kind = call, action, error, exact
                key = self._merged.setdefault(kind, (call, action, error, *caller, None, (), exact))
            self._counts.setdefault(key, 0)
        self._counts[key] += 1

    def told(self) -> list[tuple[object, ...]]:
        """All of them, in the order in which they came first, each with its count at the end."""
        return [(*key, count) for key, count in self._counts.items()]
