"""PYTEST_DONT_REWRITE The entry point: options, and the hook that registers the rest where an option asks for it."""

from collections.abc import Generator

import pytest


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """The options of this plugin."""
    group = parser.getgroup("seccomp", "system calls of the tests (pytest-seccomp)")
    group.addoption(
        "--seccomp-trace",
        metavar="PATH",
        default=None,
        help="record the system calls of each test; write the merged trace to PATH, that of each test beside it",
    )
    group.addoption(
        "--seccomp-trace-append",
        action="store_true",
        default=None,
        help="add to the trace in PATH instead of replacing it",
    )
    group.addoption(
        "--seccomp-backend",
        metavar="{auto,notify}",
        choices=("auto", "notify"),
        default=None,
        help="how system calls are seen (default: auto, the best that works here; `pytest-seccomp doctor` lists them)",
    )
    group.addoption(
        "--no-seccomp-trace",
        action="store_true",
        help="record nothing, whatever addopts and PYTEST_ADDOPTS say: for a pytest that a traced one starts",
    )
    parser.addini("seccomp_backend", "default of --seccomp-backend")
    pluginmanager.register(_ConftestImports(), "seccomp-conftest-imports")


class _ConftestImports:
    """Inside of the other plugins' part in loading conftests, such as starting to capture."""

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_load_initial_conftests(self, early_config: pytest.Config) -> Generator[None, None, None]:
        tracing = early_config.pluginmanager.get_plugin("seccomp-tracing")
        if tracing is None:
            return (yield)
        with tracing.collecting():
            return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    """Before any conftest imports the code under test."""
    options = early_config.known_args_namespace
    given = options.seccomp_trace, options.seccomp_trace_append, options.seccomp_backend
    if given != (None, None, None) and not options.no_seccomp_trace:
        from pytest_seccomp.plugin import start

        start.start(early_config)
    return (yield)
