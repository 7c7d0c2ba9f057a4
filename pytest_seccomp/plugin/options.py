"""What the user asked for, from the command line and the ini file."""

import os
from dataclasses import dataclass

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.recorder import backends


@dataclass(slots=True, frozen=True)
class Options:
    """The options of this plugin, checked."""

    path: str | None
    """None where no trace is written, and calls are only judged."""
    append: bool
    backend: str
    """A name of a backend, or auto."""

    @classmethod
    def of(cls, config: pytest.Config, *, judges: bool = False) -> "Options":
        """From the options that are known before conftests are loaded. `judges`: what is recorded serves a profile, and
        a trace need not be written. Raises SeccompError."""
        namespace = config.known_args_namespace
        append = bool(namespace.seccomp_trace_append)
        path = _path(namespace.seccomp_trace, append=append, needed=not judges)
        backend = namespace.seccomp_backend or config.getini("seccomp_backend") or backends.AUTO
        if backend not in (backends.AUTO, *backends.NAMES):
            known = ", ".join((backends.AUTO, *backends.NAMES))
            raise SeccompError(f"ini option seccomp_backend: {backend!r} is no backend: use one of {known}")
        return cls(path, append, backend)

    @property
    def candidates(self) -> tuple[str, ...]:
        """The backends to try, in order."""
        return backends.NAMES if self.backend == backends.AUTO else (self.backend,)


def _path(value: str | None, *, append: bool, needed: bool) -> str | None:
    """PATH as the user means it, who has given one of our options. Raises SeccompError."""
    if value is None and append:
        raise SeccompError("--seccomp-trace-append needs --seccomp-trace=PATH to say where to")
    if value is None and not needed:
        return None
    if value is None:
        needed_by = "--seccomp-backend needs --seccomp-trace=PATH or --seccomp-profile=FILE"
        raise SeccompError(f"{needed_by}: for all runs, set the ini option instead")
    return path_of(value, "--seccomp-trace")


def path_of(value: str, option: str) -> str:
    """The PATH that an option was given. Raises SeccompError for what can be none."""
    if not value:
        raise SeccompError(f"{option} is empty: name a file, such as {option}=out.ndjson")
    if "::" in value or value.endswith(".py"):
        raise SeccompError(f"{option} takes {value!r} for its PATH: write {option}=PATH before it")
    return os.path.expanduser(value)  # a shell leaves the ~ of --seccomp-trace=~/out.ndjson to us
