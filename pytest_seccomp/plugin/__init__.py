"""PYTEST_DONT_REWRITE The entry point: what every run has of us, and the hooks that import the rest."""

import contextlib
from collections.abc import Generator, Iterator
from typing import Any

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
    "--no-seccomp-trace": ("", "record and judge no calls, whatever addopts says: for a pytest that a test starts"),
    "--seccomp-deny-log": ("PATH", "fail for what filters deny to the tests and to what they start; write it to PATH"),
    "--seccomp-deny-source": ("{all,kernel,supervised}", "who tells: its log, our own sandboxes (default: all)"),
    "--seccomp-on-denied": ("{fail,warn}", "what a denial does that nobody expected (default: fail)"),
    "--no-seccomp-deny-log": ("", "watch no denials, whatever addopts says"),
}


class _Hooks:
    """What a conftest or a plugin may implement; docs/denials.md says what each argument is."""

    def pytest_seccomp_denial(self, denial: object, notes: list[str], item: pytest.Item | None) -> bool | None:
        """Judge a denial: True (expected), False (unexpected) or None; add texts to `notes`."""

    def pytest_seccomp_summary(self, denials: list[object]) -> str | list[str] | None:
        """What is to be said in the summary of the denials: a text, or lines."""


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """The options of this plugin, each None by default, so that it can be told from what a user says; and its hooks."""
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
    pluginmanager.add_hookspecs(_Hooks)


def pytest_configure(config: pytest.Config) -> None:
    """The markers. `pytest --markers` takes what stands before the first colon for the name."""
    for text in (
        "seccomp(deny=[...], action=..., fixtures=False): forbid system calls to the test and what it starts",
        "seccomp_expect_denied(*calls, strict=False): denials of these calls fail nothing; strict: they have to come",
    ):
        config.addinivalue_line("markers", text)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    """Before any conftest imports the code under test."""
    options = early_config.known_args_namespace
    given = any(getattr(options, option[2:].replace("-", "_")) is not None for option in _OPTIONS)
    if given or early_config.getini("seccomp_profile"):
        from pytest_seccomp.plugin import importing

        importing.start(early_config)
    return (yield)


@pytest.hookimpl(wrapper=True, trylast=True, specname="pytest_load_initial_conftests")
def pytest_import_conftests(early_config: pytest.Config) -> Generator[None, None, None]:
    """Inside of the other plugins' part in loading conftests, such as starting to capture."""
    tracing = early_config.pluginmanager.get_plugin("seccomp-tracing")
    with contextlib.nullcontext() if tracing is None else tracing.collecting():
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Tests that are to be under policies, or that record blocks, may need a recorder before the first of them runs."""
    if any(_is_marked(item) or "seccomp_trace" in getattr(item, "fixturenames", ()) for item in session.items):
        from pytest_seccomp.plugin import importing

        importing.start_policies(session)


def pytest_runtest_call(item: pytest.Item) -> None:
    """A marker that a fixture has added, where no test had it when tests were collected, comes too late to hold."""
    if _is_marked(item) and not item.config.pluginmanager.has_plugin("seccomp-policies"):
        pytest.fail("the marker seccomp was added after the tests had been collected", pytrace=False)


def _is_marked(item: pytest.Item) -> bool:
    # The keywords, which are asked quickly, also have the names of folders and functions
    return "seccomp" in item.keywords and item.get_closest_marker("seccomp") is not None


@pytest.fixture(scope="session")
def seccomp_watch(pytestconfig: pytest.Config) -> Any:
    """seccomp_watch(pid, cgroup=None): what is denied to a process that no test started counts, until close() or the
    end of a `with`. Without --seccomp-deny-log it does nothing."""
    watching = pytestconfig.pluginmanager.get_plugin("seccomp-denials")
    return watching.watch if watching is not None else lambda pid, cgroup=None: contextlib.ExitStack()


@pytest.fixture(scope="session")
def seccomp_trace(pytestconfig: pytest.Config) -> Any:
    """with seccomp_trace() as trace: ... and then `assert "socket" not in trace`: the system calls of the block."""
    from pytest_seccomp.plugin import importing

    return importing.blocks(pytestconfig)


@pytest.fixture(scope="session")
def _seccomp_sandboxes(pytestconfig: pytest.Config) -> Iterator[Any]:
    from pytest_seccomp.plugin import importing

    with importing.starters(pytestconfig) as run_and_popen:
        yield run_and_popen


@pytest.fixture(scope="session")
def seccomp_run(_seccomp_sandboxes: Any) -> Any:
    """seccomp_run(args, policy=..., deny=[...], allow=[...], action=..., expect_denied=[...]): subprocess.run in a
    sandbox. The result has .syscalls, .denied and .complete, too."""
    return _seccomp_sandboxes.run


@pytest.fixture(scope="session")
def seccomp_popen(_seccomp_sandboxes: Any) -> Any:
    """seccomp_popen(args, policy=..., deny=[...], ...): subprocess.Popen for a program in a sandbox, a server for
    example. It has .syscalls, .denied and .complete, too."""
    return _seccomp_sandboxes.popen
