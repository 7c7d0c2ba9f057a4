"""The markers `seccomp` of tests."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.profile.in_process import MARKER, InProcess, of_marker


@dataclass(slots=True, frozen=True)
class Marked:
    """A policy of a test, and what has the marker that says it: the test, its class, its module ..."""

    policy: InProcess
    place: str

    def __str__(self) -> str:
        return f"{self.policy} of {self.place}"


class Markers:
    """Reads markers, each once: one that stands at a module is that of all its tests."""

    def __init__(self) -> None:
        self._machine = native()  # here: it is a system call, and markers are read in the setup of a test
        self._read: dict[int, tuple[pytest.Mark, InProcess]] = {}

    def of(self, item: pytest.Item) -> list[Marked]:
        """Those of a test, the closest first. Raises SeccompError for one that is wrong."""
        return [self._marked(mark, node.nodeid or item.nodeid) for node, mark in item.iter_markers_with_node(MARKER)]

    def _marked(self, mark: pytest.Mark, place: str) -> Marked:
        if id(mark) not in self._read:
            policy = of_marker(mark.args, mark.kwargs, self._machine, place)
            self._read[id(mark)] = mark, policy  # the mark as well, or another one may have its id
        return Marked(self._read[id(mark)][1], place)

    def of_all(self, items: Iterable[pytest.Item]) -> Iterator[InProcess]:
        """The policies of all tests, each once; without those that are wrong, which the tests themselves will say."""
        found: dict[InProcess, None] = {}
        for item in items:
            if MARKER in item.keywords:
                try:
                    found.update(dict.fromkeys(marked.policy for marked in self.of(item)))
                except SeccompError:
                    continue
        yield from found
