"""Policies that tests are under: what they say of a call, and what they have denied.

A policy is a filter that is installed nowhere. The supervisor has the calls of its listener before they are made, so it
evaluates the filter for those of which it may say something; and so a policy can end. It belongs to a label, as counts
do: it holds for whoever makes a call while that label is the current one.
"""

from __future__ import annotations

from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.notification import ACTION, RET_ALLOW, RET_ERRNO
from pytest_seccomp.recorder import timers
from pytest_seccomp.recorder.labels import PHASES

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_seccomp.linux.caller import Caller

    _Kind = tuple[int, int, int, int, bytes, bytes | None]
    Denial = tuple[int, int, int, int, bytes, bytes | None, tuple[int, ...], int]
    """The policy's number, the call as the ledger has it, the verdict, pid, comm, exe, the arguments of the first of
    them, how many there were."""

_MOST_BYTES = 100_000
"""Of different denials that are kept of a label, roughly: a program can have a new name for each."""


class Policy:
    """One policy. `calls` are those of which it may say something, as the ledger has them."""

    __slots__ = ("calls", "number", "verdict")

    def __init__(self, number: int, code: bytes, calls: Iterable[int]) -> None:
        from functools import partial

        from pytest_seccomp.profile import bpf  # 10 ms, for runs that have policies

        self.number = number
        self.calls = frozenset(calls)
        self.verdict = partial(bpf.evaluate, bpf.decoded(code))
        """Of struct seccomp_data: SECCOMP_RET_* with its data."""


class Decision:
    """What is done with a call, and the number of the policy that says so."""

    __slots__ = ("policy", "verdict")

    def __init__(self, policy: int, verdict: int) -> None:
        self.policy = policy
        self.verdict = verdict
        """SECCOMP_RET_ERRNO with its data, or SECCOMP_RET_LOG."""


class Ruling:
    """What holds under a label: all of its policies together, or none."""

    __slots__ = ("_policies", "calls")

    def __init__(self, always: frozenset[int], policies: Sequence[Policy] = ()) -> None:
        self._policies = policies
        self.calls = always.union(*(policy.calls for policy in policies))
        """Those to be looked at: all others are allowed. Some are among them whatever policies say."""

    def decide(self, data: bytes) -> Decision | None:
        """What is done with a call, given its struct seccomp_data; None where it is allowed. Of several policies the
        strictest decides, as among filters, and the first of those that are equally strict."""
        found = None
        for policy in self._policies:
            verdict = policy.verdict(data)
            if verdict & ACTION == RET_ERRNO:
                return Decision(policy.number, verdict)
            if verdict != RET_ALLOW and found is None:
                found = Decision(policy.number, verdict)
        return found


class _Denied:
    """Denials under one label; those that are alike are one."""

    __slots__ = ("_arguments", "_counts", "_size", "left_out")

    def __init__(self) -> None:
        self._size = 0
        self._counts: dict[_Kind, int] = {}
        self._arguments: dict[_Kind, tuple[int, ...]] = {}
        self.left_out = 0

    def add(self, kind: _Kind, arguments: tuple[int, ...]) -> None:
        if kind in self._counts:
            self._counts[kind] += 1
        elif self._size < _MOST_BYTES:
            self._size += 150 + len(kind[4]) + len(kind[5] or b"")
            self._counts[kind] = 1
            self._arguments[kind] = arguments
        else:
            self.left_out += 1

    def all(self) -> list[Denial]:
        return [(*kind, self._arguments[kind], count) for kind, count in self._counts.items()]


class Policies:
    """The policies of a run, and what they have denied under which label."""

    def __init__(self) -> None:
        # The call that rings, and those of which the supervisor itself has to know
        self._always = frozenset({native().munmap | native().audit_arch << 32, *timers.setting_calls()})
        self._none = Ruling(self._always)
        self._policies: dict[int, Policy] = {}
        self._by_label: dict[int, Ruling] = {}
        self._denied: dict[int, _Denied] = {}

    def define(self, number: int, code: bytes, calls: Iterable[int]) -> None:
        """A policy that labels may be put under, with its filter."""
        self._policies[number] = Policy(number, code, calls)

    def put(self, label: int, numbers: Sequence[int]) -> None:
        """A label is under these policies, in this order, and no others."""
        self._by_label[label] = Ruling(self._always, [self._policies[number] for number in numbers])

    def of(self, label: int) -> Ruling:
        """What holds under a label."""
        return self._by_label.get(label, self._none)

    def note(self, label: int, decision: Decision, call: int, whose: Caller, arguments: tuple[int, ...]) -> None:
        """That has been done with a call under a label."""
        denied = self._denied.setdefault(label, _Denied())
        denied.add((decision.policy, call, decision.verdict, *whose), arguments)

    def take(self, label: int) -> tuple[list[Denial], int]:
        """What was denied under a label since it was asked last, in the order in which it came first, and how many
        denials are left out of that."""
        denied = self._denied.pop(label, _Denied())
        return denied.all(), denied.left_out

    def end(self, base: int) -> None:
        """The run of a test is over: nothing holds under its labels, and what they were denied is of no interest."""
        for label in range(base, base + len(PHASES)):
            self._by_label.pop(label, None)
            self._denied.pop(label, None)

    def end_all(self) -> None:
        """pytest has ended, and so have its policies: what it has left behind goes on without."""
        self._by_label.clear()
        self._denied.clear()
