"""pytest-rerunfailures: one line for each run of a test."""

import pytest
from running import traced
from traced import Suite, Trace, without_futex

pytestmark = pytest.mark.needs("listener")

PLUGINS = ["rerunfailures", "xdist"]


@pytest.fixture
def flaky(suite: Suite) -> Suite:
    """A test that passes in its third run and makes 101, 102 and 103 calls; one that never does; one that is not run
    again; an error in a fixture."""
    suite.write(
        "test_flaky.py",
        """
        import os, pytest

        runs = 0

        def calls(number):
            for _ in range(number):
                os.getppid()

        @pytest.fixture
        def used():
            calls(10)
            yield
            calls(20)

        def test_flaky(used):
            global runs
            runs += 1
            calls(100 + runs)
            assert runs == 3

        def test_hopeless():
            calls(5)
            assert False

        def test_fine():
            calls(7)

        @pytest.fixture
        def broken():
            calls(3)
            raise RuntimeError

        def test_has_a_broken_fixture(broken):
            pass
        """,
    )
    return suite


def expect_runs(trace: Trace) -> None:
    """Every run has its own line and calls."""
    runs = {(line.nodeid.partition("::")[2], line.rerun): line for line in trace.tests}
    assert len(runs) == len(trace.tests)
    assert {key: line.outcome for key, line in runs.items()} == {
        ("test_flaky", 0): "rerun",
        ("test_flaky", 1): "rerun",
        ("test_flaky", 2): "passed",
        ("test_hopeless", 0): "rerun",
        ("test_hopeless", 1): "rerun",
        ("test_hopeless", 2): "failed",
        ("test_fine", 0): "passed",
        ("test_has_a_broken_fixture", 0): "rerun",
        ("test_has_a_broken_fixture", 1): "rerun",
        ("test_has_a_broken_fixture", 2): "error",
    }
    for rerun in range(3):
        assert without_futex(runs["test_flaky", rerun].own) == {
            "setup": {"getppid": 10},
            "call": {"getppid": 101 + rerun},
            "teardown": {"getppid": 20},
        }
        assert runs["test_hopeless", rerun].phase("call")["getppid"] == 5
        assert runs["test_has_a_broken_fixture", rerun].phase("setup")["getppid"] == 3
    assert trace.complete
    assert trace.counts["getppid"] == 3 * 30 + 101 + 102 + 103 + 3 * 5 + 7 + 3 * 3


@pytest.mark.parametrize("options", [(), ("-n2",), ("-n2", "--dist=loadfile")], ids=["alone", "xdist", "loadfile"])
def test_each_run_has_its_line(flaky: Suite, options: tuple[str, ...]) -> None:
    plain = flaky.run("--reruns=2", *options, plugins=PLUGINS)
    with traced(flaky, "--reruns=2", *options, plugins=PLUGINS) as run:
        finished = run.finish(plain.status)
        run.expect_nothing_left()
    expect_runs(finished.trace())
    assert "2 failed" not in finished.stdout
    for word in ("1 failed", "2 passed", "1 error", "6 rerun"):
        assert word in finished.stdout.splitlines()[-1]


def test_a_test_that_crashes_its_worker_is_run_again(suite: Suite) -> None:
    """The run that crashed is number 0, with what it made; the one on the other worker is number 1."""
    suite.write(
        "test_crash.py",
        """
        import os, pathlib

        def test_crash(request):
            os.getppid()
            marker = pathlib.Path("crashed")
            if not marker.exists():
                marker.touch()
                # Once it is answered the controller knows that there are to be reruns, which nobody has waited for
                request.config.failures_db.get_test_reruns(request.node.nodeid)
                os._exit(1)
        """,
    )
    with traced(suite, "-n1", "--reruns=2", plugins=PLUGINS) as run:
        finished = run.finish()
        run.expect_nothing_left()
    trace = finished.trace()
    first, second = sorted(trace.tests, key=lambda line: line.rerun)
    assert (first.outcome, first.rerun, first.worker, first.complete) == (None, 0, "gw0", False)
    assert (second.outcome, second.rerun, second.worker, second.complete) == ("passed", 1, "gw1", True)
    assert first.phase("call")["getppid"] == second.phase("call")["getppid"] == 1
    assert not trace.complete


def test_a_plugin_that_reports_the_first_run_and_the_last(suite: Suite) -> None:
    """As pytest-retry does, which runs the test again while pytest makes the report of its call."""
    suite.write(
        "conftest.py",
        """
        import pytest

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            if call.when == "call" and report.failed:
                nothing = pytest.Class.from_parent(item.session, name="Nothing")
                for attempt in range(3):
                    item.ihook.pytest_runtest_teardown(item=item, nextitem=nothing)
                    if not attempt:
                        report.outcome = "retried"
                        item.ihook.pytest_runtest_logreport(report=report)
                    item._initrequest()
                    item.ihook.pytest_runtest_setup(item=item)
                    call = pytest.CallInfo.from_call(lambda: item.ihook.pytest_runtest_call(item=item), when="call")
                    if call.excinfo is None:
                        break
                last = pytest.TestReport.from_item_and_call(item, call)
                report.outcome, report.longrepr = last.outcome, last.longrepr
            return report
        """,
    )
    suite.write(
        "test_retried.py",
        """
        import os
        import pytest

        runs = 0

        @pytest.fixture
        def used():
            os.getpgid(0)
            yield
            os.getpgid(0)

        def test_retried(used):
            global runs
            runs += 1
            for _ in range(100 + runs):
                os.getppid()
            assert runs == 3

        def test_hopeless():
            assert False

        def test_after():
            os.getppid()
        """,
    )
    options = ["--seccomp-deny-log=denied.ndjson", "--seccomp-deny-source=supervised"]
    with traced(suite, *options) as run:
        trace = run.trace(status=pytest.ExitCode.TESTS_FAILED)
        run.expect_nothing_left()
    assert trace.complete
    assert [(line.nodeid.partition("::")[2], line.rerun, line.outcome) for line in trace.tests] == [
        ("test_retried", 0, "retried"),
        ("test_retried", 1, "rerun"),
        ("test_retried", 2, "passed"),
        ("test_hopeless", 0, "retried"),
        ("test_hopeless", 1, "rerun"),
        ("test_hopeless", 2, "rerun"),
        ("test_hopeless", 3, "failed"),
        ("test_after", 0, "passed"),
    ]
    for rerun, line in enumerate(trace.tests[:3]):
        assert line.own == {
            "setup": {"getpgid": 1},
            "call": {"getppid": 101 + rerun},
            "teardown": {"getpgid": 1},
        }
    assert trace.tests[-1].own == {"call": {"getppid": 1}}
