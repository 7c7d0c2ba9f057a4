"""What the hooks of the entry point import, when it is needed: by Python itself, with the bytecode that lies there.

pytest rewrites the assertions in all modules of a distribution that has a plugin. Ours are not for tests, and pytest
would parse and compile each module once more: in every run, where it cannot write what comes of it.
"""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

import pytest

_OURS = "pytest_seccomp."


def start(config: pytest.Config) -> None:
    """What the options ask for. Raises pytest.UsageError where it cannot be had."""
    with _by_python():
        from pytest_seccomp.plugin import asked

        asked.start(config)


def start_policies(session: pytest.Session) -> None:
    """What the tests ask for that were collected."""
    with _by_python():
        from pytest_seccomp.plugin.policies.start import start

        start(session)


def blocks(config: pytest.Config) -> Any:
    """The fixture seccomp_trace."""
    with _by_python():
        from pytest_seccomp.plugin.policies.blocks import Blocks
    return Blocks.of(config)


def starters(config: pytest.Config) -> contextlib.AbstractContextManager[Any]:
    """The fixtures seccomp_run and seccomp_popen."""
    with _by_python():
        from pytest_seccomp.plugin.sandboxes.fixtures import starters
    return starters(config)


class _Finder:
    """Finds our modules as if pytest did not look for any."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, path, target) if name.startswith(_OURS) else None


@contextlib.contextmanager
def _by_python() -> Iterator[None]:
    """In here modules of ours are imported so. Afterwards sys.meta_path is as tests know it."""
    sys.meta_path.insert(0, _Finder)
    try:
        yield
    finally:
        sys.meta_path.remove(_Finder)
