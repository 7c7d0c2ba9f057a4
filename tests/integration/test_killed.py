"""pytest is killed, or ends where it should not: what was recorded is in the files, and nothing of ours is left."""

import os
import re
import signal

import pytest
from running import Run, traced, until
from traced import Suite, without_futex

pytestmark = pytest.mark.needs("listener")

WAITING = """
    import os, pathlib, time

    def test_before():
        for _ in range(100):
            os.getppid()

    def test_waiting():
        for _ in range(200):
            os.getppid()
        pathlib.Path("waiting").touch()
        while not pathlib.Path("go").exists():
            time.sleep(0.01)

    def test_after():
        pass
"""

NOTING = """
    import pathlib, pytest

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(item):
        result = yield
        pathlib.Path(f"{item.name}.ended").touch()
        return result
"""


@pytest.fixture
def waiting(suite: Suite) -> Suite:
    """Three tests, the second of which makes 200 calls, touches `waiting` and waits for `go`. Each, when it has ended,
    leaves a file that says so."""
    suite.write("test_waiting.py", WAITING)
    suite.write("conftest.py", NOTING)
    return suite


def expect_cut_short(run: Run) -> None:
    """The first test is there and whole, the second without an outcome but with the calls it made, no third one."""
    trace = run.salvaged()
    assert not trace.complete
    assert trace.run["exit_status"] is None
    assert "test_waiting.py::test_waiting did not finish" in trace.run["reasons"]
    assert [line.nodeid.partition("::")[2] for line in trace.tests] == ["test_before", "test_waiting"]
    before, test = trace.tests
    assert before.complete
    assert before.outcome == "passed"
    assert before.own == {"call": {"getppid": 100}}
    assert not test.complete
    assert test.outcome is None
    assert test.phase("call")["getppid"] == 200
    assert trace.counts["getppid"] == 300
    assert trace.collections[0].counts


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=lambda n: n.name
)
def test_by_a_signal_in_the_middle_of_a_test(waiting: Suite, number: signal.Signals) -> None:
    with traced(waiting) as run:
        run.wait_for("waiting")
        run.kill(number)
        assert run.finish().status == -number
        expect_cut_short(run)


def test_by_sigterm_to_its_whole_group(waiting: Suite) -> None:
    with traced(waiting) as run:
        run.wait_for("waiting")
        os.killpg(run.pytest.pid, signal.SIGTERM)
        assert run.finish().status == -signal.SIGTERM
        expect_cut_short(run)


def test_while_a_forked_child_lives_on(suite: Suite) -> None:
    suite.write(
        "test_child.py",
        """
        import os, pathlib, time

        def test_child():
            if os.fork() == 0:
                while not pathlib.Path("go").exists():
                    time.sleep(0.01)
                for _ in range(1000):
                    os.getppid()
                pathlib.Path("worked").touch()
                os._exit(0)
            for _ in range(200):
                os.getppid()
            pathlib.Path("waiting").touch()
            while True:
                time.sleep(0.01)
        """,
    )
    with traced(suite) as run:
        run.wait_for("waiting")
        run.kill()
        until("a trace", (suite.folder / "out.ndjson").exists)
        # The trace is there while the child goes on, and the child does not wait for anybody
        (suite.folder / "go").touch()
        until("the child's work", (suite.folder / "worked").exists)
        trace = run.salvaged()
        assert not trace.complete
        assert trace.test("test_child").phase("call")["getppid"] == 200


def test_before_the_first_test(waiting: Suite) -> None:
    """The trace that is there stays: nothing of it is known anew."""
    with traced(waiting, "-k", "test_before") as run:
        run.finish(0)
    before = [(waiting.folder / name).read_bytes() for name in ("out.ndjson", "out.tests.ndjson")]
    waiting.write("test_slow.py", "import pathlib, time\npathlib.Path('importing').touch()\ntime.sleep(1000)\n")
    with traced(waiting) as run:
        run.wait_for("importing")
        run.kill()
        run.finish(-signal.SIGKILL)
        run.expect_nothing_left()
    assert [(waiting.folder / name).read_bytes() for name in ("out.ndjson", "out.tests.ndjson")] == before


@pytest.mark.parametrize(
    "options",
    [
        pytest.param([], id="alone"),
        pytest.param(["-n2"], id="xdist"),
        pytest.param(["--seccomp-backend=ebpf"], id="ebpf", marks=pytest.mark.needs("bpf")),
    ],
)
def test_while_the_recorder_checks_itself(suite: Suite, options: list[str]) -> None:
    """Which then has nobody to tell that it is ready, and still a directory to remove."""
    suite.write("test_one.py", "def test_one():\n    pass\n")
    suite.write(
        "killer.py",
        """
        import os, signal
        from pytest_seccomp.recorder import starting

        def kill(*_):
            os.kill(os.getpid(), signal.SIGKILL)

        starting.wait_until_ready = kill
        """,
    )
    with traced(suite, *options, plugins=["xdist", "killer"]) as run:
        run.finish(-signal.SIGKILL)
        run.expect_nothing_left()
    assert not (suite.folder / "out.ndjson").exists()


def test_while_the_recorder_starts(suite: Suite) -> None:
    """Which then is not told what to do."""
    suite.write("test_one.py", "def test_one():\n    pass\n")
    suite.write(
        "killer.py",
        """
        import os, signal

        spawn = os.posix_spawn

        def spawn_and_end(*arguments, **settings):
            spawn(*arguments, **settings)
            os.kill(os.getpid(), signal.SIGKILL)

        os.posix_spawn = spawn_and_end
        """,
    )
    with traced(suite, plugins=["killer"]) as run:
        run.finish(-signal.SIGKILL)
        run.expect_nothing_left()
    assert not (suite.folder / "out.ndjson").exists()


@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["alone", "xdist"])
def test_by_ctrl_c(waiting: Suite, options: tuple[str, ...]) -> None:
    with traced(waiting, *options, plugins=["xdist"]) as run:
        run.wait_for("waiting")
        run.wait_for("test_before.ended")
        if options:  # in the worker that waits for nothing
            run.wait_for("test_after.ended")
        run.interrupt()
        finished = run.finish(pytest.ExitCode.INTERRUPTED)
        assert "written: " in finished.stdout
        trace = finished.trace()
        assert trace.run["exit_status"] == pytest.ExitCode.INTERRUPTED
        assert without_futex(trace.test("test_before").own) == {"call": {"getppid": 100}}
        assert trace.test("test_waiting").phase("call")["getppid"] == 200
        assert trace.test("test_waiting").outcome is None
        worker = trace.test("test_waiting").worker
        unfinished = f"{f'{worker}: ' if worker else ''}test_waiting.py::test_waiting did not finish"
        cut_short = "the session was interrupted"
        # The signal ends the other worker, too, which may or may not come to its session's end
        early = re.compile(r"gw\d: pytest \(process \d+\) ended before its session did")
        assert [one for one in trace.run["reasons"] if not early.fullmatch(one)] == [cut_short, unfinished]
        told = "".join(f"  {reason}\n" for reason in trace.run["reasons"])
        assert f"\nINCOMPLETE: calls may be missing:\n{told}" in finished.stdout
        run.expect_nothing_left()


def test_a_test_that_ends_the_process(suite: Suite) -> None:
    suite.write(
        "test_exit.py",
        """
        import os

        def test_before():
            os.getppid()

        def test_exit():
            os.getppid()
            os._exit(7)
        """,
    )
    with traced(suite) as run:
        run.finish(7)
        trace = run.salvaged()
        assert not trace.complete
        assert trace.test("test_before").own == {"call": {"getppid": 1}}
        assert trace.test("test_exit").own == {"call": {"getppid": 1, "exit_group": 1}}


def test_a_test_that_becomes_another_program(suite: Suite) -> None:
    suite.write(
        "test_exec.py",
        """
        import os

        def test_exec():
            os.execv("/bin/sh", ["sh", "-c", "exit 5"])
        """,
    )
    with traced(suite) as run:
        run.finish(5)
        trace = run.salvaged()
        assert not trace.complete
        assert trace.test("test_exec").phase("call")["execve"] == 1
        assert trace.test("test_exec").phase("call")["exit_group"] == 1


def test_that_nobody_reads(suite: Suite) -> None:
    """`pytest | true`: pytest fails at its first line, with an error that no hook sees."""
    suite.write("test_one.py", "def test_one():\n    pass\n")
    when_true_has_ended = "trap '' PIPE; while echo; do :; done 2> /dev/null; trap - PIPE"
    with traced(suite, before=["sh", "-c", f'{{ {when_true_has_ended}; "$@"; }} | true', "sh"]) as run:
        run.finish(0)
        run.expect_nothing_left()
    # Either before the session began, or it is merged in its place
    if (suite.folder / "out.ndjson").exists():
        assert not run.finish().trace().complete


def test_by_pytest_timeout_from_its_thread(suite: Suite) -> None:
    suite.write(
        "test_timeout.py",
        """
        import os, threading

        def test_before():
            os.getppid()

        def test_hangs(request):
            os.getppid()
            request.node.set_timer()
            threading.Event().wait()
        """,
    )
    suite.write(
        "conftest.py",
        """
        import pytest, pytest_timeout

        @pytest.hookimpl(tryfirst=True)
        def pytest_timeout_set_timer(item, settings):
            # By the test itself, when it has come to where it hangs
            item.set_timer = lambda: pytest_timeout.pytest_timeout_set_timer(item, settings)
            return True
        """,
    )
    with traced(suite, "--timeout=1", "--timeout-method=thread", plugins=["timeout"]) as run:
        run.finish(1)
        trace = run.salvaged()
        assert not trace.complete
        assert trace.outcomes == {"test_timeout.py::test_before": "passed", "test_timeout.py::test_hangs": None}
        assert trace.test("test_hangs").phase("call")["getppid"] == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda n: n.name)
def test_the_xdist_controller(waiting: Suite, number: signal.Signals) -> None:
    with traced(waiting, "-n2", plugins=["xdist"]) as run:
        run.wait_for("waiting")
        run.wait_for("test_before.ended")
        run.kill(number)
        assert run.finish().status == -number
        (waiting.folder / "go").touch()
        trace = run.salvaged()
        assert not trace.complete
        assert trace.run["workers"] == 2
        assert without_futex(trace.test("test_before").own) == {"call": {"getppid": 100}}
        assert trace.test("test_waiting").phase("call")["getppid"] == 200


def test_a_worker(suite: Suite) -> None:
    """Its test has a line without an outcome; the one that replaces it is gw2."""
    suite.write(
        "test_exit.py",
        """
        import os, pytest

        @pytest.mark.parametrize("number", range(6))
        def test_calls(number):
            for _ in range(100 + number):
                os.getppid()
            if number == 2:
                os._exit(0)
        """,
    )
    with traced(suite, "-n2", plugins=["xdist"]) as run:
        trace = run.trace(pytest.ExitCode.TESTS_FAILED)
        run.expect_nothing_left()
    assert not trace.complete
    (lost,) = [line for line in trace.tests if not line.complete]
    assert lost.nodeid == "test_exit.py::test_calls[2]"
    assert lost.outcome is None
    assert without_futex(lost.own) == {"call": {"getppid": 102, "exit_group": 1}}
    assert sorted(line.nodeid for line in trace.tests) == [f"test_exit.py::test_calls[{n}]" for n in range(6)]
    assert trace.counts["getppid"] == sum(range(100, 106))
    assert "gw2" in {line.worker for line in trace.harnesses}
    unfinished, reason = trace.run["reasons"]
    assert unfinished == f"{lost.worker}: test_exit.py::test_calls[2] did not finish"
    assert reason.startswith(f"{lost.worker}: pytest (process ")
    assert reason.endswith(") ended before its session did")
