"""What the user asked for, from the command line and the ini file."""

from dataclasses import dataclass

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.recorder import backends


@dataclass(slots=True, frozen=True)
class Options:
    """The options of this plugin, checked."""

    path: str
    append: bool
    backend: str
    """A name of a backend, or auto."""

    @classmethod
    def of(cls, config: pytest.Config) -> "Options":
        """From the options that are known before conftests are loaded. Raises SeccompError."""
        namespace = config.known_args_namespace
        if namespace.seccomp_trace is None:
            raise SeccompError("--seccomp-trace-append needs --seccomp-trace=PATH to say where to")
        backend = namespace.seccomp_backend or config.getini("seccomp_backend") or backends.AUTO
        if backend not in (backends.AUTO, *backends.NAMES):
            known = ", ".join((backends.AUTO, *backends.NAMES))
            raise SeccompError(f"ini option seccomp_backend: {backend!r} is no backend: use one of {known}")
        return cls(namespace.seccomp_trace, bool(namespace.seccomp_trace_append), backend)

    @property
    def candidates(self) -> tuple[str, ...]:
        """The backends to try, in order."""
        return backends.NAMES if self.backend == backends.AUTO else (self.backend,)
