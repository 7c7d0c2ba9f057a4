"""PYTEST_DONT_REWRITE The entry point: options, and the hooks that register the rest."""

from collections.abc import Generator

import pytest

_OPTIONS = {
    "--seccomp-trace": ("PATH", "record the system calls of each test; write the trace to PATH, each test's beside it"),
    "--seccomp-trace-append": ("", "add to the trace in PATH instead of replacing it"),
    "--seccomp-backend": (
        "{auto,ebpf,notify,audit,kmsg}",
        "how system calls are seen (default: auto, the best that works here; `pytest-seccomp doctor` lists them)",
    ),
    "--seccomp-profile": ("FILE", "fail tests for system calls that FILE, a profile or a trace, does not allow"),
    "--seccomp-profile-collection": ("", "judge what loading conftests and collecting calls by FILE, too"),
    "--seccomp-update-profile": ("", "add such calls to FILE instead; FILE is made if it is not there"),
    "--no-seccomp-trace": (
        "",
        "record nothing and judge no calls, whatever addopts says: for a pytest that a traced one starts",
    ),
    "--seccomp-deny-log": ("PATH", "fail for what filters deny to the tests and to what they start; write it to PATH"),
    "--seccomp-deny-source": ("{all,kernel,supervised}", "who tells: its log, our own sandboxes (default: all)"),
    "--seccomp-on-denied": ("{fail,warn}", "what a denial does that nobody expected (default: fail)"),
    "--no-seccomp-deny-log": ("", "watch no denials, whatever addopts says"),
}


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """The options of this plugin. Each default is None, so that it can be told from what a user says."""
    from pytest_seccomp.plugin import offered

    group = parser.getgroup("seccomp", "system calls of the tests (pytest-seccomp)")
    for option, (value, text) in _OPTIONS.items():
        if not value:
            group.addoption(option, action="store_true", default=None, help=text)
            continue
        choices = value[1:-1].split(",") if value.startswith("{") else None
        group.addoption(option, metavar=value, choices=choices, default=None, help=text)
    for option in ("--seccomp-backend", "--seccomp-deny-source", "--seccomp-on-denied"):
        parser.addini(option[2:].replace("-", "_"), f"default of {option}")
    parser.addini("seccomp_profile", "default of --seccomp-profile, seen from the ini file's folder")
    parser.addini("seccomp_profile_collection", "default of --seccomp-profile-collection", "bool", False)
    parser.addini("seccomp_expected_denials", "calls that may be denied to every test (--seccomp-deny-log)", "args", [])
    pluginmanager.register(_ConftestImports(), "seccomp-conftest-imports")
    pluginmanager.register(offered, "seccomp-offered")


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
    traces = (options.seccomp_trace, options.seccomp_trace_append, options.seccomp_backend) != (None, None, None)
    judges = (options.seccomp_profile, options.seccomp_update_profile) != (None, None)
    judges = judges or bool(options.seccomp_profile_collection or early_config.getini("seccomp_profile"))
    watches = (options.seccomp_deny_log, options.seccomp_deny_source, options.seccomp_on_denied) != (None, None, None)
    traces, watches = (traces or judges) and not options.no_seccomp_trace, watches and not options.no_seccomp_deny_log
    if traces or watches:
        from pytest_seccomp.plugin import start

        start.start(early_config, traces=traces, watches=watches)
    return (yield)
