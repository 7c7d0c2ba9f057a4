"""Which backend a run begins with: the first of several that works here."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from pytest_seccomp.errors import BackendError, SeccompError, UnusableError

Failures = list[tuple[str, BackendError]]
"""Backends that do not work here, by name."""


class _Begun(Protocol):
    failures: Failures
    """What the recorder has found not to work before the backend that does."""


_Found = TypeVar("_Found", bound=_Begun)


def first_that_works(candidates: Sequence[str], begin: Callable[[str], _Found]) -> tuple[_Found, Failures]:
    """What has begun with the first backend with which tracing can begin, and why those before it do not work. Raises
    SeccompError. `begin` is told the names of those that are left; a recorder looks for one itself, and is started
    again only where one turns out not to work although its self-check has passed."""
    failures: Failures = []
    while left := candidates[len(failures) :]:
        try:
            begun = begin(",".join(left))
        except UnusableError as error:
            failures += error.failures
        else:
            return begun, failures + begun.failures
    raise SeccompError("; ".join(f"backend {name}: {error}" for name, error in failures))


def in_words(failures: Failures) -> list[str]:
    """Notes for the user."""
    return [f"backend {name} does not work here: {error.reason}" for name, error in failures]
