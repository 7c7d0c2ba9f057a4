"""Debuggers, timeouts, coverage and timers work in a traced suite as they do in any other."""

import pytest
from traced import Suite, without_futex
from twice import Twice, run_twice

pytestmark = pytest.mark.needs("listener")


def test_the_debugger(suite: Suite) -> None:
    """What is typed and shown there is not the test's."""
    suite.write(
        "test_fails.py",
        """
        import os

        def test_fails():
            answer = [os.getppid() for _ in range(3)]
            assert not answer

        def test_after():
            os.getppid()
        """,
    )
    runs = run_twice(suite, "--pdb", status=1, stdin="p 6 * len(answer)\nimport os; os.getpgid(0)\nc\n")
    for run in (runs.plain, runs.traced):
        assert "(Pdb) 18\n" in run.stdout
    assert runs.trace.complete
    assert runs.trace.phases == {"test_fails": {"call": {"getppid": 3}}, "test_after": {"call": {"getppid": 1}}}


def test_a_breakpoint_in_a_test(suite: Suite) -> None:
    suite.write("test_stops.py", "def test_stops():\n    answer = 18\n    breakpoint()\n    assert answer == 42\n")
    runs = run_twice(suite, stdin="p answer + 1\nanswer = 42\nc\n")
    for run in (runs.plain, runs.traced):
        assert "(Pdb) 19\n" in run.stdout
    assert runs.trace.complete


@pytest.mark.parametrize("workers", [0, 1], ids=["one process", "xdist"])
def test_pytest_timeout_by_a_signal(suite: Suite, workers: int) -> None:
    """The session goes on. From its thread it ends the process: see test_killed."""
    suite.write(
        "test_timeout.py",
        """
        import os, signal, threading, time
        import pytest

        @pytest.mark.timeout(600)
        @pytest.mark.parametrize(
            "wait", [lambda: threading.Event().wait(), lambda: time.sleep(1000), lambda: os.read(os.pipe()[0], 1)]
        )
        def test_hangs(wait):
            # The plugin's own timer, when the test is there; and again, should it ring before the wait has begun
            signal.setitimer(signal.ITIMER_REAL, 0.5, 5)
            try:
                wait()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)

        def test_after():
            os.getppid()
        """,
    )
    options = ["--timeout=1000", "--timeout-method=signal", "-n", str(workers)]
    runs = run_twice(suite, *options, plugins=["timeout", "xdist"], status=1)
    assert runs.traced.stdout.count("Failed: Timeout") >= 3
    assert runs.trace.complete
    assert sorted(map(str, runs.trace.outcomes.values())) == ["failed", "failed", "failed", "passed"]
    assert without_futex(runs.trace.test("test_after").phases)["call"]["getppid"] == 1


def test_faulthandler(suite: Suite) -> None:
    """By a signal, and from the thread that the C library starts for it; and pytest's own, which waits in each test."""
    suite.write("pytest.ini", "[pytest]\nfaulthandler_timeout = 1000\n")
    suite.write(
        "test_faulthandler.py",
        """
        import faulthandler, signal, time

        def test_by_a_signal(tmp_path):
            with open(tmp_path / "dump", "w+") as dump:
                faulthandler.register(signal.SIGUSR1, dump)
                signal.raise_signal(signal.SIGUSR1)
                faulthandler.unregister(signal.SIGUSR1)
                dump.seek(0)
                assert "in test_by_a_signal" in dump.read()

        def test_later(tmp_path):
            with open(tmp_path / "dump", "w+") as dump:
                faulthandler.dump_traceback_later(0.05, file=dump)
                while not dump.read():
                    dump.seek(0)
                faulthandler.cancel_dump_traceback_later()
        """,
    )
    assert run_twice(suite).trace.complete


@pytest.mark.parametrize("workers", [0, 2], ids=["one process", "xdist"])
def test_coverage(suite: Suite, workers: int) -> None:
    """The same lines are covered, also in a child that a test forks."""
    suite.write(
        "covered.py",
        """
        import os

        def run(number):
            if number:
                os.getppid()
                return 1
            os.getpgid(0)
            return 2

        def never():
            return 3
        """,
    )
    suite.write(
        "test_covered.py",
        """
        import os
        from covered import run

        def test_one():
            assert run(1) == 1

        def test_in_a_child():
            pid = os.fork()
            if not pid:
                os._exit(run(0))
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2
        """,
    )
    options = ["--cov=covered", "--cov-report=term-missing", "-n", str(workers)]
    runs = run_twice(suite, *options, plugins=["pytest_cov", "xdist"])
    assert covered(runs.traced.stdout) == covered(runs.plain.stdout) != []
    assert runs.trace.complete
    assert runs.trace.test("test_one").phase("call")["getppid"] == 1
    assert runs.trace.test("test_in_a_child").phase("call")["getpgid"] == 1


def covered(output: str) -> list[str]:
    """The rows of coverage's table."""
    return [line for line in output.splitlines() if line.startswith("covered.py ")]


TIMERS = """
    import os, select, signal, threading, time
    import pytest

    NAMES = {"REAL": signal.SIGALRM, "VIRTUAL": signal.SIGVTALRM, "PROF": signal.SIGPROF}

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("number", range(20))
    def test_while_it_computes(name, number):
        caught = []
        before = signal.signal(NAMES[name], lambda *_: caught.append(1))
        signal.setitimer(getattr(signal, f"ITIMER_{name}"), 0.001)
        while not caught:
            pass
        signal.signal(NAMES[name], before)
        assert caught == [1]

    class Woken(Exception):
        pass

    @pytest.mark.parametrize("number", range(5))
    @pytest.mark.parametrize("wait", [lambda end: os.read(end, 1), lambda end: select.select([end], [], []),
        lambda end: time.sleep(1000), lambda end: signal.pause(), lambda end: threading.Event().wait()],
        ids=["read", "select", "sleep", "pause", "event"])
    def test_while_it_waits(wait, number):
        ends = os.pipe()
        woken = []

        def wake(*_):
            if not woken:
                woken.append(1)
                raise Woken

        before = signal.signal(signal.SIGALRM, wake)
        try:
            with pytest.raises(Woken):
                # Again, should it ring before the wait has begun
                signal.setitimer(signal.ITIMER_REAL, 0.02, 0.2)
                wait(ends[0])
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            for end in ends:
                os.close(end)
"""


def test_a_suite_full_of_timers(suite: Suite) -> None:
    """Each of which goes off once, with nothing in the trace but what the test has called."""
    suite.write("test_timers.py", TIMERS)
    runs: Twice = run_twice(suite, python=["-W", "error"])
    assert runs.trace.complete
    assert len(runs.trace.tests) == 60 + 25
    computing = [line.own for line in runs.trace.tests if "while_it_computes" in line.nodeid]
    assert computing == [{"call": {"rt_sigaction": 2, "rt_sigreturn": 1, "setitimer": 1}}] * 60
