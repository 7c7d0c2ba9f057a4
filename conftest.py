"""What all tests of this project share: what a test needs of the machine, and the order in which the tests run."""

import fcntl
import os
import random
import signal
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import mechanisms
import pytest

import pytest_seccomp

pytest_plugins = ["pytester"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options that the Makefile and .ci/run use."""
    group = parser.getgroup("tests", "tests of this project")
    group.addoption(
        "--require-mechanisms",
        action="store_true",
        help="fail, instead of skip, a test that needs something which this machine does not have",
    )
    group.addoption(
        "--shuffle",
        metavar="SEED",
        default=None,
        help="run the test files, and the tests in each, in an order drawn from SEED; `random` draws SEED too",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; draw the seed."""
    names = ", ".join(mechanisms.MECHANISMS)
    config.addinivalue_line("markers", f"needs(*names): skip the test where one of these is missing: {names}")
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        config.option.shuffle = worker["shuffle"]
    elif config.option.shuffle == "random":
        config.option.shuffle = str(random.SystemRandom().randrange(10**6))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give each xdist worker the controller's seed: they must all collect in one order."""
    node.workerinput["shuffle"] = node.config.option.shuffle


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is tested, and how to get the same order again."""
    lines = [f"tested: {Path(pytest_seccomp.__file__).parent} {pytest_seccomp.__version__}"]
    if config.option.shuffle is not None:
        lines.append(f"order: --shuffle={config.option.shuffle}")
    return lines


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse unknown names in `needs`; shuffle."""
    for item in items:
        for name in needs(item):
            if name not in mechanisms.MECHANISMS:
                raise pytest.UsageError(f"{item.nodeid}: needs({name!r}) is none of {', '.join(mechanisms.MECHANISMS)}")
    if config.option.shuffle is not None:
        order = random.Random(config.option.shuffle)
        files = [list(group) for _, group in groupby(items, key=lambda item: item.path)]
        order.shuffle(files)
        for group in files:
            order.shuffle(group)
        items[:] = [item for group in files for item in group]


def needs(item: pytest.Item) -> list[str]:
    """Return the names in a test's `needs` markers."""
    return [name for marker in item.iter_markers("needs") for name in marker.args]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that cannot run here, or fail it where every mechanism is required."""
    lacking = {name: reason for name in needs(item) if (reason := mechanisms.missing(name)) is not None}
    if not lacking:
        return
    text = "; ".join(f"needs {name}: {reason}" for name, reason in lacking.items())
    excused = any(mechanisms.MECHANISMS[name].excused() for name in lacking)
    if item.config.option.require_mechanisms and not excused:
        pytest.fail(text, pytrace=False)
    pytest.skip(text)


@pytest.fixture(autouse=True)
def room_in_the_kernels_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """Of audit records the kernel prints ten in five seconds, whoever makes them: tests that need one to be printed are
    alone with that, on all xdist workers. Whoever waits stands in the door: else others, of which there are many, could
    come in for ever, and one that wants to be alone would never be."""
    names = needs(request.node)
    if not {"audit", "kmsg"}.intersection(names):
        yield
        return
    with open(mechanisms.__file__, "rb") as room:  # closed, the lock is gone
        with open(__file__, "rb") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            fcntl.flock(room, fcntl.LOCK_EX if "kmsg" in names else fcntl.LOCK_SH)
        yield


@pytest.fixture(scope="session", autouse=True)
def users_environment() -> Iterator[None]:
    """Hide from the runs inside the tests that they are started by a pytest, an xdist worker perhaps, and what else
    changes what a run prints: in CI pytest shortens nothing."""
    hidden = [
        name
        for name in os.environ
        if (name.startswith(("PYTEST_", "COV_CORE_")) and name != "PYTEST_CURRENT_TEST")
        or name in ("CI", "BUILD_NUMBER", "FORCE_COLOR", "PY_COLORS")
    ]
    saved = {name: os.environ.pop(name) for name in hidden}
    yield
    os.environ.update(saved)


@pytest.fixture(scope="session", autouse=True)
def users_signals() -> None:
    """Signals that are ignored since `nohup`, or a script's `&`, would stay so in the runs inside the tests."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
