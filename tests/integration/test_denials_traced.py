"""A deny log and a trace in one run: neither shows in the other."""

import pytest
from counting import counting_suite, expect_all
from denylog import DENIED, DenyLog
from running import Run, traced
from traced import Suite, without_futex

pytestmark = pytest.mark.needs("audit", "listener")

ways = pytest.mark.parametrize("options", [("-n0",), ("-n2",)], ids=["alone", "xdist"])


@ways
def test_the_trace_is_the_same(suite: Suite, options: tuple[str, ...]) -> None:
    """Known calls are what they are known to be, and no message to the watcher is anybody's, not even the harness's."""
    counting_suite(suite)
    with traced(suite, "--seccomp-deny-log=denied.ndjson", *options, plugins=["xdist"]) as run:
        finished = run.finish(0)
        run.expect_nothing_left()
    trace = finished.trace()
    expect_all(trace)
    assert trace.complete
    harness = [line.counts for line in trace.harnesses]
    if options == ("-n0",):  # execnet's sockets are none of ours
        assert all(not {"sendmsg", "recvmsg", "prctl", "socket"} & set(counts) for counts in harness)
    log = DenyLog.read(suite.folder / "denied.ndjson")
    assert log.records == []
    assert log.complete


@ways
@pytest.mark.parametrize("backend", ["notify", "audit"])
def test_each_sees_its_own(suite: Suite, options: tuple[str, ...], backend: str) -> None:
    suite.write(
        "test_both.py",
        DENIED
        + """
def test_denied(): denied()

def test_made():
    for _ in range(1000):
        os.getppid()

@pytest.mark.seccomp_expect_denied("socket")
def test_expected(): denied()

def test_empty(): pass
""",
    )
    options = (f"--seccomp-backend={backend}", *options)
    with traced(suite, "--seccomp-deny-log=denied.ndjson", *options, plugins=["xdist"]) as run:
        finished = run.finish(1)
        run.expect_nothing_left()
    log = DenyLog.read(suite.folder / "denied.ndjson")
    assert log.complete
    assert log.places == {("test_denied", "call", "socket"): 1, ("test_expected", "call", "socket"): 1}
    trace = finished.trace()
    assert trace.complete
    assert {line.nodeid.partition("::")[2]: line.outcome for line in trace.tests} == {
        "test_denied": "failed",
        "test_made": "passed",
        "test_expected": "passed",
        "test_empty": "passed",
    }
    assert "socket" not in trace.test("test_denied").phase("call")  # denied calls are not made
    assert without_futex(trace.test("test_made").own) == {"call": {"getppid": 1000}}
    assert without_futex(trace.test("test_empty").own) == {}


def test_pytest_that_its_own_filter_kills_has_both_files(suite: Suite) -> None:
    suite.write(
        "test_crash.py",
        DENIED
        + """
import denying

def test_crash():
    denying.install(logged.KILL_PROCESS, SOCKET)
    denying.call(SOCKET)
""",
    )
    with traced(suite, "--seccomp-deny-log=denied.ndjson") as run:
        trace = run.salvaged()
        run.expect_nothing_left()
    assert trace.test("test_crash").outcome is None
    log = DenyLog.read(suite.folder / "denied.ndjson")
    assert log.places == {("test_crash", "call", "socket"): 1}
    assert not log.complete


def test_a_watcher_that_is_killed_does_no_harm_to_the_trace(suite: Suite) -> None:
    suite.write(
        "test_one.py",
        """
        import os, pathlib, time
        def test_one():
            pathlib.Path("here").touch()
            while not os.path.exists("go"):
                time.sleep(0.01)
        def test_two():
            os.getppid()
        """,
    )
    with traced(suite, "--seccomp-deny-log=denied.ndjson") as run:
        run.wait_for("here")
        run.kill_watchers()
        (suite.folder / "go").touch()
        finished = run.finish(1)
        run.expect_nothing_left()
    trace = finished.trace()
    assert trace.complete
    assert without_futex(trace.test("test_two").own) == {"call": {"getppid": 1}}


def test_no_deny_log_where_the_trace_cannot_be_had(suite: Suite) -> None:
    """The run does not begin, and nothing is left of it."""
    suite.write("test_one.py", "def test_one(): pass\n")
    with Run(suite, "--seccomp-deny-log=denied.ndjson", "--seccomp-trace=/proc/no/such") as run:
        finished = run.finish(4)
        run.expect_nothing_left()
    assert "cannot write a trace to /proc/no/such" in finished.stderr
    assert not (suite.folder / "denied.ndjson").exists()
