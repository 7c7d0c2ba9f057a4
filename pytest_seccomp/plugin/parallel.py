"""pytest-parallel, which runs several tests of one session at once, in threads and in children."""

import pytest

from pytest_seccomp.errors import SeccompError

_NAME = "parallel"
_OPTIONS = ("workers", "tests_per_worker")


def refuse(config: pytest.Config) -> None:
    """Raises SeccompError where tests are to run so: a process has one label, and one connection to its recorder."""
    options = config.known_args_namespace
    if not config.pluginmanager.has_plugin(_NAME) or not all(hasattr(options, name) for name in _OPTIONS):
        return
    if any(getattr(options, name) or config.getini(name) for name in _OPTIONS):
        raise SeccompError(
            "pytest-parallel runs several tests at once, and nobody knows whose a call is: "
            "run them with pytest-xdist (-n), or with neither --workers nor --tests-per-worker"
        )
