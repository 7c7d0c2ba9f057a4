"""What a denial by a test's own policy does."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from pytest_seccomp.gate.expectations import INI, Expectation, of_ini
from pytest_seccomp.gate.verdict import FAIL, MODES
from pytest_seccomp.plugin.denials.options import ALL, KERNEL, SOURCES, choice
from pytest_seccomp.plugin.denials.watching import Watching


@dataclass(slots=True, frozen=True)
class Rules:
    """The same options as those of the deny log, with and without it."""

    mode: str
    """What a denial does that nobody expected: one of MODES."""
    expected: Sequence[Expectation]
    """By every test."""
    watching: Watching | None
    """Who judges in our place and writes it down, where there is a deny log that has more than the kernel's log."""

    @classmethod
    def of(cls, config: pytest.Config) -> "Rules":
        """Raises SeccompError for an ini option that cannot be."""
        watching = config.pluginmanager.get_plugin("seccomp-denials")
        if choice(config, "seccomp_deny_source", SOURCES, ALL) == KERNEL:
            watching = None
        return cls(choice(config, "seccomp_on_denied", MODES, FAIL), of_ini(config.getini(INI)), watching)
