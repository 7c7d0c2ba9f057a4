"""The recorder or its standby is killed: no traced call fails or hangs, and the trace says what it lacks."""

import os
import random
import re
import signal
import time

import pytest
from running import Run, traced, until
from traced import Suite, Trace, without_futex

pytestmark = pytest.mark.needs("listener")

DIED = "the recorder died: what was traced after that is not recorded"

BUSY = """
    import os, pathlib, threading

    def test_before():
        for _ in range(100):
            os.getppid()

    def test_busy():
        '''Calls whose results are known, from several threads, until a file is there.'''
        stop = threading.Event()
        failures = []

        def work(number):
            read, write = os.pipe()
            try:
                while not stop.is_set():
                    data = os.urandom(8)
                    assert os.write(write, data) == 8
                    assert os.read(read, 8) == data
                    assert os.getppid() == parent
                    assert os.stat(".").st_ino == inode
            except BaseException as error:
                failures.append(repr(error))

        parent, inode = os.getppid(), os.stat(".").st_ino
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        pathlib.Path("busy").touch()
        while not pathlib.Path("go").exists():
            stop.wait(0.01)
        stop.set()
        for thread in threads:
            thread.join()
        assert failures == []

    def test_after():
        for _ in range(300):
            os.getppid()
"""


@pytest.fixture
def busy(suite: Suite) -> Suite:
    """Three tests, the second of which makes calls in four threads, touches `busy` and works on until there is `go`."""
    suite.write("test_busy.py", BUSY)
    return suite


def expect_told(run: Run, *, worker: bool = False) -> Trace:
    """The run has ended with a message, the busy test has passed, and the trace is incomplete."""
    finished = run.finish()
    assert DIED in finished.stdout, finished.output
    assert "INCOMPLETE" in finished.stdout
    assert finished.status == (pytest.ExitCode.INTERRUPTED), finished.output
    assert "failed" not in finished.stdout.splitlines()[-1]
    run.expect_nothing_left()
    trace = finished.trace()
    assert not trace.complete
    assert trace.run["lost"] is None
    assert any(DIED in reason for reason in trace.run["reasons"])
    own = trace.test("test_before").own
    assert (without_futex(own) if worker else own) == {"call": {"getppid": 100}}
    assert "test_busy.py::test_after" not in trace.outcomes
    return trace


@pytest.mark.parametrize("attempt", range(12))
def test_at_a_random_moment_under_load(busy: Suite, attempt: int) -> None:
    with traced(busy) as run:
        run.wait_for("busy")
        recorder = run.recorder()
        time.sleep(random.uniform(0, 0.05))
        recorder.kill()
        (busy.folder / "go").touch()
        expect_told(run)


@pytest.mark.parametrize("attempt", range(4))
def test_in_an_xdist_worker(busy: Suite, attempt: int) -> None:
    with traced(busy, "-n1", plugins=["xdist"]) as run:
        run.wait_for("busy")
        (recorder,) = until("a standby", lambda: [process for process in run.recorders() if run.standbys(process)])
        time.sleep(random.uniform(0, 0.05))
        recorder.kill()
        (busy.folder / "go").touch()
        expect_told(run, worker=True)


@pytest.mark.parametrize("attempt", range(4))
def test_at_a_random_moment_of_a_whole_run(suite: Suite, attempt: int) -> None:
    """While modules are imported, tests begin and end, or the session finishes: never a hang, never another outcome."""
    suite.write(
        "conftest.py",
        """
        import pathlib, time

        while not pathlib.Path("go").exists():
            time.sleep(0.01)
        """,
    )
    suite.write(
        "test_many.py",
        """
        import os, pytest

        @pytest.mark.parametrize("number", range(300))
        def test_many(number):
            for _ in range(number):
                os.getppid()
        """,
    )
    with traced(suite) as run:
        recorder = run.recorder()
        (suite.folder / "go").touch()
        time.sleep(random.uniform(0, 0.8))
        try:
            os.kill(recorder.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # the run was faster
        finished = run.finish()
        run.expect_nothing_left()
        trace = finished.trace()
        assert finished.status in (pytest.ExitCode.OK, pytest.ExitCode.INTERRUPTED), finished.output
        assert "failed" not in finished.stdout
        assert trace.complete == (DIED not in finished.stdout)
        for line in trace.tests:
            if line.complete:
                number = int(line.nodeid.partition("[")[2].rstrip("]"))
                assert line.own == ({"call": {"getppid": number}} if number else {})
        if trace.complete:
            assert len(trace.tests) == 300


@pytest.mark.parametrize("attempt", range(8))
def test_while_it_starts(suite: Suite, attempt: int) -> None:
    """Before pytest is traced it ends with a message, from then on as ever: never a hang, and nothing is left."""
    suite.write("test_empty.py", "def test_empty(): pass")
    with traced(suite) as run:
        (recorder,) = until("a recorder", run.recorders)
        time.sleep(random.uniform(0, 0.03))
        try:
            os.kill(recorder.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # the run was faster
        finished = run.finish()
        run.expect_nothing_left()
        match finished.status:
            case pytest.ExitCode.OK:
                assert finished.trace().complete == (DIED not in finished.stdout)
            case pytest.ExitCode.INTERRUPTED:
                assert DIED in finished.stdout
                assert not finished.trace().complete
            case pytest.ExitCode.USAGE_ERROR:
                assert re.search("pytest-seccomp: the recorder (did not start|ended before)", finished.stderr)
                assert not (suite.folder / "out.ndjson").exists()
            case status:
                assert status == -signal.SIGKILL, finished.output
                assert "the hand-over of the listener got stuck: the recorder died" in finished.stderr
                assert not (suite.folder / "out.ndjson").exists()


def test_the_standby(busy: Suite) -> None:
    """The recorder starts another one, and nothing is lost."""
    with traced(busy) as run:
        run.wait_for("busy")
        recorder = run.recorder()
        killed: set[int] = set()
        for _ in range(3):
            (standby,) = until("a standby", lambda: [p for p in run.standbys(recorder) if p.pid not in killed])
            os.kill(standby.pid, signal.SIGKILL)
            killed.add(standby.pid)
        (busy.folder / "go").touch()
        trace = run.trace(status=0)
        run.expect_nothing_left()
        assert trace.complete
        assert set(trace.outcomes.values()) == {"passed"}
        assert trace.test("test_after").phase("call")["getppid"] == 300


def test_the_standby_and_then_the_recorder(busy: Suite) -> None:
    with traced(busy) as run:
        run.wait_for("busy")
        recorder = run.recorder()
        (first,) = run.standbys(recorder)
        first.kill()
        until("another standby", lambda: [p for p in run.standbys(recorder) if p.pid != first.pid])
        recorder.kill()
        (busy.folder / "go").touch()
        expect_told(run)


def test_a_standby_that_is_stopped_goes_on_when_the_recorder_is_killed(busy: Suite) -> None:
    with traced(busy) as run:
        run.wait_for("busy")
        recorder = run.recorder()
        (standby,) = run.standbys(recorder)
        os.kill(standby.pid, signal.SIGSTOP)
        until("a stopped standby", lambda: [p for p in run.standbys(recorder) if p.state == "T"])
        recorder.kill()
        (busy.folder / "go").touch()
        expect_told(run)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT], ids=lambda n: n.name)
def test_signals_that_end_other_programs_are_ignored(busy: Suite, number: signal.Signals) -> None:
    with traced(busy) as run:
        run.wait_for("busy")
        recorder = run.recorder()
        for process in (recorder, *run.standbys(recorder)):
            os.kill(process.pid, number)
        (busy.folder / "go").touch()
        trace = run.trace(status=0)
        run.expect_nothing_left()
        assert trace.complete
        assert trace.test("test_after").phase("call")["getppid"] == 300


def test_a_recorder_that_is_stopped_only_delays(busy: Suite) -> None:
    with traced(busy) as run:
        run.wait_for("busy")
        recorder = run.recorder()
        for _ in range(3):
            os.kill(recorder.pid, signal.SIGSTOP)
            until("a stopped recorder", lambda: [p for p in run.recorders() if p.state == "T"])
            time.sleep(0.05)  # for the threads to come to a standstill; nothing depends on it
            os.kill(recorder.pid, signal.SIGCONT)
        (busy.folder / "go").touch()
        trace = run.trace(status=0)
        run.expect_nothing_left()
        assert trace.complete
        assert set(trace.outcomes.values()) == {"passed"}
        assert trace.test("test_after").phase("call")["getppid"] == 300
