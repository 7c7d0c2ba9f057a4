"""PYTEST_DONT_REWRITE What tests and conftests find, with or without an option of ours: markers, fixtures, hooks."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

# pytest --markers takes what stands before the first colon for the name
_MARKERS = (
    "seccomp(deny=[...], action=..., fixtures=False): forbid system calls to the test and what it starts",
    "seccomp_expect_denied(*calls, strict=False): denials of these calls fail nothing; strict: they have to come",
)


def pytest_configure(config: pytest.Config) -> None:
    """The markers, known also to runs that do not look at them."""
    for text in _MARKERS:
        config.addinivalue_line("markers", text)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """The hooks, known also to runs that do not call them."""
    pluginmanager.add_hookspecs(_Hooks)


class _Hooks:
    """What a conftest or a plugin may implement; docs/denials.md says what each argument is."""

    def pytest_seccomp_denial(self, denial: object, notes: list[str], item: pytest.Item | None) -> bool | None:
        """Judge a denial: True (expected), False (unexpected) or None; add texts to `notes`."""

    def pytest_seccomp_summary(self, denials: list[object]) -> str | list[str] | None:
        """What is to be said in the summary of the denials: a text, or lines."""


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Tests that are to be under policies, or that record blocks, may need a recorder before the first of them runs."""
    for item in session.items:
        if _is_marked(item) or "seccomp_trace" in getattr(item, "fixturenames", ()):
            from pytest_seccomp.plugin.policies import start

            start.start(session)
            return


def pytest_runtest_call(item: pytest.Item) -> None:
    """A marker that a fixture has added, where no test had it when tests were collected, comes too late to hold."""
    if _is_marked(item) and not item.config.pluginmanager.has_plugin("seccomp-policies"):
        pytest.fail("the marker seccomp was added after the tests had been collected", pytrace=False)


def _is_marked(item: pytest.Item) -> bool:
    # The keywords, which are asked quickly, also have the names of folders and functions
    return "seccomp" in item.keywords and item.get_closest_marker("seccomp") is not None


@pytest.fixture(scope="session")
def seccomp_watch(pytestconfig: pytest.Config) -> Callable[..., contextlib.ExitStack]:
    """seccomp_watch(pid, cgroup=None): what is denied to a process that no test started counts, until close() or the
    end of a `with`. Without --seccomp-deny-log it does nothing."""
    watching = pytestconfig.pluginmanager.get_plugin("seccomp-denials")
    return watching.watch if watching is not None else lambda pid, cgroup=None: contextlib.ExitStack()


@pytest.fixture(scope="session")
def seccomp_trace(pytestconfig: pytest.Config) -> Callable[[], object]:
    """with seccomp_trace() as trace: ... and then `assert "socket" not in trace`: the system calls of the block."""
    from pytest_seccomp.plugin.policies.blocks import Blocks

    return Blocks.of(pytestconfig)


@pytest.fixture(scope="session")
def _seccomp_sandboxes(pytestconfig: pytest.Config) -> Iterator[object]:
    from pytest_seccomp.plugin.sandboxes.sandboxing import Sandboxing

    with Sandboxing.started(pytestconfig) as sandboxing:
        yield sandboxing


@pytest.fixture(scope="session")
def seccomp_run(_seccomp_sandboxes: object) -> object:
    """seccomp_run(args, policy=..., deny=[...], allow=[...], action=..., expect_denied=[...]): subprocess.run in a
    sandbox. The result has .syscalls, .denied and .complete, too."""
    from pytest_seccomp.plugin.sandboxes.fixtures import Run

    return Run(_seccomp_sandboxes, "seccomp_run")  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def seccomp_popen(_seccomp_sandboxes: object) -> object:
    """seccomp_popen(args, policy=..., deny=[...], ...): subprocess.Popen for a program in a sandbox, a server for
    example. It has .syscalls, .denied and .complete, too."""
    from pytest_seccomp.plugin.sandboxes.fixtures import Popen

    return Popen(_seccomp_sandboxes, "seccomp_popen")  # type: ignore[arg-type]
