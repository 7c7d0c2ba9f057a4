"""What has no report of a test to fail, fails the session: what comes after a test, before the first, in a run that is
repeated, in a process that dies."""

from collections import Counter

import pytest
from denylog import DENIED, DenyLog, watched
from running import Run
from traced import Suite

pytestmark = pytest.mark.needs("audit")

ways = pytest.mark.parametrize("options", [("-n0",), ("-n2",)], ids=["alone", "xdist"])

DAEMON = (
    DENIED
    + """
def daemon(until):
    # Is denied a socket when a file is there, and says so with another one
    if os.fork() == 0:
        os.setsid()
        while not os.path.exists(until):
            time.sleep(0.01)
        denied()
        pathlib.Path(until + ".done").touch()
        os._exit(0)

def wake(until):
    pathlib.Path(until).touch()
    while not os.path.exists(until + ".done"):
        time.sleep(0.01)

"""
)


@ways
def test_a_daemon_after_the_last_test(suite: Suite, options: tuple[str, ...]) -> None:
    """Woken when pytest has the report of its test already."""
    suite.write("late.py", DAEMON)
    suite.write(
        "conftest.py",
        """
        import late, os, pytest

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_runtest_protocol(item):
            result = yield
            late.wake(item.name)
            return result
        """,
    )
    suite.write("test_one.py", "import late\ndef test_one(): late.daemon('test_one')\n")
    finished, log = watched(suite, "--junitxml=out.xml", *options, plugins=["xdist"], status=1, python=["-W", "ignore"])
    assert log.complete
    assert log.places == {("test_one", "late", "socket"): 1}
    assert "1 passed" in finished.stdout
    assert "No test has failed for it, but the session does" in finished.stdout
    assert "after the end of test_one.py::test_one" in finished.stdout
    assert "seccomp_expected_denials = socket" in finished.stdout


def test_a_daemon_between_two_tests_and_in_the_next_one(suite: Suite) -> None:
    """In between it is late. While another test runs it counts for that one: whoever is running."""
    suite.write("late.py", DAEMON)
    suite.write(
        "conftest.py",
        """
        import late, pytest

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_runtest_protocol(item):
            result = yield
            if item.name == "test_one":
                late.wake("between")
            return result
        """,
    )
    suite.write(
        "test_two.py",
        """
        import late
        def test_one():
            late.daemon("between")
            late.daemon("next")
        def test_two(): late.wake("next")
        """,
    )
    _, log = watched(suite, status=1)
    assert log.places == {("test_one", "late", "socket"): 1, ("test_two", "call", "socket"): 1}


@ways
def test_late_is_expected_by_the_test_that_it_comes_after(suite: Suite, options: tuple[str, ...]) -> None:
    suite.write("late.py", DAEMON)
    suite.write(
        "conftest.py",
        """
        import late, pytest

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_runtest_protocol(item):
            result = yield
            late.wake(item.name)
            return result
        """,
    )
    suite.write(
        "test_one.py",
        """
        import late, pytest
        @pytest.mark.seccomp_expect_denied("socket")
        def test_one(): late.daemon('test_one')
        """,
    )
    _, log = watched(suite, *options, plugins=["xdist"], status=0, python=["-W", "ignore"])
    assert [(record["phase"], record["expected"]) for record in log.records] == [("late", True)]


@ways
def test_while_collecting(suite: Suite, options: tuple[str, ...]) -> None:
    suite.write("conftest.py", DENIED + "denied(number=BIND)\n")
    suite.write("test_one.py", DENIED + "denied()\ndef test_one(): pass\n")
    finished, log = watched(suite, *options, plugins=["xdist"], status=1, python=["-W", "ignore"])
    assert log.complete
    collections = 2 if options == ("-n2",) else 1  # each worker's
    controller = {("", "collection", "socket"): collections, ("", "collection", "bind"): collections}
    assert log.places == controller
    assert {record["nodeid"] for record in log.records} == {None}
    assert "1 passed" in finished.stdout
    assert "loading conftests and collecting" in finished.stdout


def test_what_every_test_may_be_denied_may_be_denied_while_collecting_and_late(suite: Suite) -> None:
    suite.write("pytest.ini", "[pytest]\nseccomp_expected_denials = socket bind\n")
    suite.write("conftest.py", DENIED + "denied(number=BIND)\ndef pytest_sessionfinish(): denied()\n")
    suite.write("test_one.py", "def test_one(): pass\n")
    _, log = watched(suite, status=0)
    assert log.places == {("", "collection", "bind"): 1, ("test_one", "late", "socket"): 1}
    assert all(record["expected"] for record in log.records)


def test_a_module_that_cannot_be_imported_does_not_hide_it(suite: Suite) -> None:
    suite.write("test_one.py", DENIED + "denied()\nimport no_such_module\n")
    _, log = watched(suite, status=2)
    assert log.places == {("", "collection", "socket"): 1}


def test_in_the_end_of_the_session(suite: Suite) -> None:
    """Too late for everything but the exit status."""
    suite.write("conftest.py", DENIED + "def pytest_sessionfinish(): denied()\n")
    suite.write("test_one.py", "def test_one(): pass\n")
    finished, log = watched(suite, status=1)
    assert log.places == {("test_one", "late", "socket"): 1}
    assert "1 passed" in finished.stdout


FLAKY = (
    DENIED
    + """
runs = 0

def test_flaky():
    global runs
    runs += 1
    if runs == 1:
        denied()

def test_that_fails_of_itself_first():
    if not os.path.exists("seen"):
        pathlib.Path("seen").touch()
        assert False
    denied(number=BIND)
"""
)


@ways
def test_a_clean_second_run_does_not_heal(suite: Suite, options: tuple[str, ...]) -> None:
    suite.write("test_flaky.py", FLAKY)
    plugins = ["xdist", "rerunfailures"]
    finished, log = watched(suite, "--reruns=1", "-k", "flaky", *options, plugins=plugins, status=1)
    assert [
        (record["nodeid"], record["phase"], record["rerun"]) for record in log.records if record["name"] == "socket"
    ] == [("test_flaky.py::test_flaky", "call", 0)]
    assert [(record["rerun"], record["name"]) for record in log.records if record["name"] == "bind"] == [(1, "bind")]
    assert "1 rerun" in finished.stdout or "2 rerun" in finished.stdout


@ways
def test_a_session_whose_only_flaw_is_healed_fails(suite: Suite, options: tuple[str, ...]) -> None:
    suite.write("test_flaky.py", FLAKY)
    finished, log = watched(
        suite, "--reruns=1", "test_flaky.py::test_flaky", *options, plugins=["xdist", "rerunfailures"], status=1
    )
    assert log.places == {("test_flaky", "call", "socket"): 1}
    assert "1 passed, 1 rerun" in finished.stdout


@ways
def test_a_test_that_is_denied_in_each_run(suite: Suite, options: tuple[str, ...]) -> None:
    suite.write("test_each.py", DENIED + "def test_each(): denied()\n")
    finished, log = watched(suite, "--reruns=2", *options, plugins=["xdist", "rerunfailures"], status=1)
    assert [record["rerun"] for record in log.records] == [0, 1, 2]
    assert "1 failed, 2 rerun" in finished.stdout


def test_a_worker_that_its_own_filter_kills(suite: Suite) -> None:
    """What nobody could judge any more is in the log, with the phase in which it came."""
    suite.write(
        "test_crash.py",
        DENIED
        + """
import denying

def test_crash():
    denying.install(logged.KILL_PROCESS, SOCKET)
    denying.call(SOCKET)

def test_other(): pass
""",
    )
    finished, log = watched(suite, "-n1", plugins=["xdist"], status=1)
    assert log.places == {("test_crash", "call", "socket"): 1}
    assert log.records[0]["action"] == "kill_process"
    assert not log.records[0]["expected"]
    assert not log.complete
    assert "worker 'gw0' crashed" in finished.stdout
    assert "the call of test_crash.py::test_crash" in finished.stdout


def test_pytest_that_its_own_filter_kills(suite: Suite) -> None:
    """The log is written in its place."""
    suite.write(
        "test_crash.py",
        DENIED
        + """
import denying

def test_before(): denied(number=BIND)

def test_crash():
    denying.install(logged.KILL_PROCESS, SOCKET)
    denying.call(SOCKET)
""",
    )
    with Run(suite, "--seccomp-deny-log=denied.ndjson") as run:
        run.finish(-31)  # SIGSYS
        run.expect_nothing_left()
    log = DenyLog.read(suite.folder / "denied.ndjson")
    assert log.places == {("test_before", "call", "bind"): 1, ("test_crash", "call", "socket"): 1}
    assert log.reasons is not None
    assert "the session was killed before it had written its deny log" in log.reasons


def test_a_killed_controller(suite: Suite) -> None:
    suite.write(
        "test_hangs.py",
        DENIED
        + "def test_before(): denied()\ndef test_hangs():\n    pathlib.Path('here').touch()\n    time.sleep(999)\n",
    )
    with Run(suite, "--seccomp-deny-log=denied.ndjson", "-n1", plugins=["xdist"]) as run:
        run.wait_for("here")
        run.kill()
        run.finish()
        run.expect_nothing_left()
    log = DenyLog.read(suite.folder / "denied.ndjson")
    assert log.places == {("test_before", "call", "socket"): 1}
    assert not log.complete


@ways
def test_interrupted(suite: Suite, options: tuple[str, ...]) -> None:
    """Ctrl-C keeps pytest's exit status and loses nothing."""
    suite.write(
        "test_hangs.py",
        DENIED
        + "def test_before(): denied()\ndef test_hangs():\n    pathlib.Path('here').touch()\n    time.sleep(999)\n",
    )
    # One worker: it must have come to the second test
    options = ("-n1",) if options == ("-n2",) else options
    with Run(suite, "--seccomp-deny-log=denied.ndjson", *options, plugins=["xdist"]) as run:
        run.wait_for("here")
        run.interrupt()
        finished = run.finish(2)
        run.expect_nothing_left()
    log = DenyLog.read(suite.folder / "denied.ndjson")
    assert log.places == Counter({("test_before", "call", "socket"): 1})
    assert "seccomp denials: 1 unexpected" in finished.stdout


@ways
def test_nothing_is_left_of_an_ordinary_run(suite: Suite, options: tuple[str, ...]) -> None:
    suite.write("test_one.py", DENIED + "def test_one(): denied()\n")
    with Run(suite, "--seccomp-deny-log=denied.ndjson", *options, plugins=["xdist"]) as run:
        run.finish(1)
        run.expect_nothing_left()
    assert sorted(path.name for path in suite.folder.iterdir() if path.is_file()) == [
        "denied.ndjson",
        "pytest.ini",
        "test_one.py",
    ]


def test_a_forked_child_that_comes_back_into_pytest(suite: Suite) -> None:
    """sys.exit() in a child that a test has forked: it goes through the rest of the session, and says nothing."""
    suite.write(
        "test_fork.py",
        DENIED
        + """
def test_fork():
    denied()
    pid = os.fork()
    if not pid:
        sys.exit(0)
    os.waitpid(pid, 0)
""",
    )
    _, log = watched(suite, status=1)
    assert log.complete
    assert log.places == {("test_fork", "call", "socket"): 1}
