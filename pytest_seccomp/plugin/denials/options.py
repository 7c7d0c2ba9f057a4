"""What the user asked for, from the command line and the ini file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.gate.expectations import INI, Expectation, of_ini
from pytest_seccomp.gate.verdict import FAIL, MODES
from pytest_seccomp.plugin.options import path_of
from pytest_seccomp.recorder import kernel_log
from pytest_seccomp.recorder.session import own_session
from pytest_seccomp.trace.paths import real_path, tests_path

ALL, KERNEL, SUPERVISED = SOURCES = ("all", "kernel", "supervised")


@dataclass(slots=True, frozen=True)
class DenialOptions:
    """The options of the deny log, checked."""

    path: str
    mode: str
    """What an unexpected denial does: one of MODES."""
    expected: Sequence[Expectation]
    """By every test."""
    source: str = ALL
    """Who tells: one of SOURCES."""

    @classmethod
    def of(cls, config: pytest.Config) -> "DenialOptions":
        """From the options that are known before conftests are loaded. Raises SeccompError."""
        namespace = config.known_args_namespace
        if namespace.seccomp_deny_log is None:
            other = "--seccomp-deny-source" if namespace.seccomp_deny_source else "--seccomp-on-denied"
            raise SeccompError(f"{other} needs --seccomp-deny-log=PATH: for all runs, set the ini option instead")
        path = path_of(namespace.seccomp_deny_log, "--seccomp-deny-log")
        source = choice(config, "seccomp_deny_source", SOURCES, ALL)
        mode = choice(config, "seccomp_on_denied", MODES, FAIL)
        options = cls(path, mode, of_ini(config.getini(INI)), source)
        if namespace.seccomp_trace and not namespace.no_seccomp_trace:
            options._check_apart(path_of(namespace.seccomp_trace, "--seccomp-trace"))
        return options

    @property
    def channels(self) -> tuple[str, ...]:
        """The ways to the kernel's log that are tried, in order; empty where it is not asked."""
        return () if self.source == SUPERVISED else kernel_log.SOURCES

    @property
    def session(self) -> int | None:
        """The audit session that this process begins, for its records in that log."""
        return own_session() if self.channels else None

    def _check_apart(self, trace: str) -> None:
        """Refuse one file for two results."""
        theirs = real_path(Path(trace))
        if real_path(Path(self.path)) in (theirs, real_path(tests_path(theirs))):
            raise SeccompError(
                f"--seccomp-deny-log={self.path} is a file of --seccomp-trace={trace}: name another one for either"
            )


def choice(config: pytest.Config, name: str, choices: Sequence[str], default: str) -> str:
    """The value of an option with an ini option of the same name. Raises SeccompError for an unknown one."""
    value: str = getattr(config.known_args_namespace, name) or config.getini(name) or default
    if value not in choices:
        raise SeccompError(f"ini option {name}: {value!r} is unknown: use one of {', '.join(choices)}")
    return value
