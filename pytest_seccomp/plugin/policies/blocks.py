"""The fixture seccomp_trace: the system calls of a block."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import NoReturn, Self

import pytest

from pytest_seccomp.errors import RecorderError, SeccompError
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.headroom import make_room
from pytest_seccomp.plugin import tracing
from pytest_seccomp.plugin.tracing import Tracing
from pytest_seccomp.recorder import labels
from pytest_seccomp.trace.called import Calls

FIXTURE = "seccomp_trace"
NAME = "seccomp-blocks"

_NO_RECORDER = (
    f"{FIXTURE}: nothing records this run: name {FIXTURE} among the arguments of a test or fixture, which is seen when "
    "tests are collected, or run with --seccomp-trace"
)
_OUTLASTS = "it went on after the run of the test in which it began"


class Block(Mapping[str, int]):
    """The calls that a block of a test makes, as a context manager and afterwards as a mapping from their names to how
    often they were made, as `Calls` is one: `"socket" not in trace`, `trace["read"]`, `trace["i386:socketcall"]`.

    Those of all threads and children count, and none that was denied. Where something may be missing, what cannot be
    known raises RecorderError; `seen` has what there is.
    """

    def __init__(self, tracings: Sequence[Tracing]) -> None:
        """`tracings` have the recorders that count, each some of the calls."""
        self._tracings = tracings
        self._begun: list[tuple[Tracing, int, int]] = []
        self._calls: Calls | None = None
        self.reasons: list[str] = []
        """Why calls may be missing; empty where it is certain that none is."""

    def __enter__(self) -> Self:
        if self._begun:
            raise RecorderError(f"{FIXTURE}: this block has been used: call {FIXTURE}() for each")
        self._room = make_room()
        for one in self._tracings:
            if one.base < labels.FIRST_TEST:
                raise RecorderError(f"{FIXTURE}: there is no test yet whose calls would be counted")
            one.take_up()
            for prepare in one.at_block:
                prepare()
            self._begun.append((one, one.base, one.client.open_block(one.base)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        counts: dict[int, int] = {}
        for one, base, number in reversed(self._begun):
            try:
                for prepare in one.at_block:
                    prepare()
                counted, complete = one.client.close_block(number)
            except RecorderError as failure:
                self._add(str(failure))
                continue
            for call, count in counted.items():
                counts[call] = counts.get(call, 0) + count
            if one.base != base:
                self._add(_OUTLASTS)
            elif not complete:
                self._add(f"the backend {one.client.backend} has lost some")
        self._calls = Calls(counts, platform.machine())

    def _add(self, reason: str) -> None:
        if reason not in self.reasons:
            self.reasons.append(reason)

    @property
    def seen(self) -> Calls:
        """What was seen, whether or not that is all. RecorderError before the block has ended."""
        if self._calls is None:
            raise RecorderError(f"{FIXTURE}: the block has not ended: ask after the `with`")
        return self._calls

    @property
    def complete(self) -> bool:
        """Whether it is certain that no call is missing."""
        return self._calls is not None and not self.reasons

    def __contains__(self, text: object) -> bool:
        """Whether a call was made; SeccompError for a name that no call has."""
        return text in self.seen or text in self._all

    def __getitem__(self, text: str | int) -> int:
        """How often; KeyError where never."""
        return self._all[text]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def __repr__(self) -> str:
        if self._calls is None:
            return f"<{FIXTURE}() that has not ended>"
        return f"<{FIXTURE}(){'' if self.complete else ' INCOMPLETE'} {dict(self._calls)}>"

    @property
    def _all(self) -> Calls:
        calls = self.seen
        if self.reasons:
            raise RecorderError(f"{FIXTURE}: calls of the block may be missing: {'; '.join(self.reasons)}")
        return calls


class Blocks:
    """Makes blocks, which `tracings` count; there are none for `reason`."""

    def __init__(self, tracings: Sequence[Tracing], reason: str) -> None:
        self._tracings = tracings
        self._reason = reason
        # The table of names is read when it is first asked: not in a test, whose calls that would be
        _ = "read" in Calls({native().audit_arch << 32: 1}, platform.machine())

    @classmethod
    def of(cls, config: pytest.Config) -> "Blocks":
        """Those of a run: where no test has named the fixture before, those that its trace can count."""
        known: Blocks | None = config.pluginmanager.get_plugin(NAME)
        traced: Tracing | None = config.pluginmanager.get_plugin(tracing.NAME)
        return known or cls([traced] if traced is not None else [], _NO_RECORDER)

    def __call__(self) -> Block:
        """A block: `with seccomp_trace() as trace:`. Raises RecorderError where nothing can count it."""
        if not self._tracings:
            raise RecorderError(self._reason or _NO_RECORDER)
        return Block(self._tracings)

    def __enter__(self) -> NoReturn:
        raise SeccompError(f"{FIXTURE} makes blocks, and is none: write `with {FIXTURE}() as trace:`")

    def __exit__(self, *_: object) -> None:
        """For `with`, which asks for both before it begins."""
