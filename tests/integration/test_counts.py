"""In-process loops, threads, forks and subprocesses are counted exactly."""

import re

import pytest
from traced import Counts, Finished, Suite, without_futex

pytestmark = pytest.mark.needs("listener")

WORKERS = pytest.mark.parametrize("workers", [0, 2], ids=["one process", "xdist"])


def made(finished: Finished) -> int:
    """The number that a test printed as that of its calls."""
    found = re.search(r"^made (\d+)$", finished.stdout, re.MULTILINE)
    assert found is not None, finished.output
    return int(found[1])


LOOP = """
    import os
    import pytest

    @pytest.mark.parametrize("number", range(5))
    def test_empty(number):
        pass

    @pytest.mark.parametrize("number", range(5))
    def test_loop(number):
        for _ in range(1000):
            os.getppid()
"""


@WORKERS
def test_an_empty_test_has_no_call_and_a_loop_as_many_as_it_makes(suite: Suite, workers: int) -> None:
    suite.write("test_loop.py", LOOP)
    trace = suite.trace("-n", str(workers), plugins=["xdist"])
    assert trace.complete
    assert trace.run["workers"] == workers
    expected: dict[str, dict[str, Counts]] = {f"test_loop.py::test_empty[{number}]": {} for number in range(5)}
    expected.update({f"test_loop.py::test_loop[{number}]": {"call": {"getppid": 1000}} for number in range(5)})
    assert {line.nodeid: without_futex(line.phases) if workers else line.phases for line in trace.tests} == expected
    assert trace.counts["getppid"] == 5000


def test_a_thousand_empty_tests_have_no_call(suite: Suite) -> None:
    # Python's own memory would grow by an mmap in one or two of them: see linux/headroom.py
    suite.write(
        "test_empty.py",
        """
        import pytest

        @pytest.mark.parametrize("number", range(1000))
        def test_empty(number):
            pass
        """,
    )
    trace = suite.trace("-q")
    assert len(trace.tests) == 1000
    assert {line.nodeid: line.phases for line in trace.tests if line.phases} == {}


def test_the_plugins_that_are_there_do_not_change_it(suite: Suite) -> None:
    suite.write("pytest.ini", "[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    suite.write("test_loop.py", LOOP)
    trace = suite.trace(plugins=None)
    assert [trace.test(f"test_empty[{number}]").phases for number in range(5)] == [{}] * 5
    assert [trace.test(f"test_loop[{number}]").phases for number in range(5)] == [{"call": {"getppid": 1000}}] * 5


def test_two_runs_have_the_same_trace(suite: Suite) -> None:
    suite.write(
        "test_files.py",
        """
        import subprocess

        def test_write_and_read(tmp_path):
            for number in range(10):
                (tmp_path / str(number)).write_text("text")
            assert len([path.read_text() for path in tmp_path.iterdir()]) == 10

        def test_subprocess():
            subprocess.run(["/bin/true"], check=True)
        """,
    )
    runs = [suite.trace("--basetemp", str(suite.folder.parent / "base")) for _ in range(3)]
    assert runs[1].own == runs[0].own
    assert runs[2].own == runs[0].own


def test_every_thread_counts(suite: Suite) -> None:
    suite.write(
        "test_threads.py",
        """
        import os, threading

        def loop():
            for _ in range(250):
                os.getppid()

        def test_threads():
            threads = [threading.Thread(target=loop) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        def test_after():
            pass
        """,
    )
    trace = suite.trace()
    assert trace.test("test_threads").phase("call")["getppid"] == 2000
    assert "getppid" not in trace.test("test_after").counts  # a thread may end only now, after join() has returned


@WORKERS
def test_every_fork_and_its_forks_count(suite: Suite, workers: int) -> None:
    suite.write(
        "test_fork.py",
        """
        import os

        def fork(work):
            pid = os.fork()
            if not pid:
                work()
                os._exit(0)
            assert os.waitpid(pid, 0) == (pid, 0)

        def loop():
            for _ in range(500):
                os.getppid()

        def test_fork():
            fork(loop)

        def test_forks_of_forks():
            fork(lambda: (fork(loop), fork(lambda: fork(loop))))
        """,
    )
    trace = suite.trace("-n", str(workers), plugins=["xdist"])
    one, three = trace.test("test_fork").phase("call"), trace.test("test_forks_of_forks").phase("call")
    assert (one["getppid"], one["wait4"], one["exit_group"]) == (500, 1, 1)
    assert (three["getppid"], three["wait4"], three["exit_group"]) == (1000, 4, 4)


START = {
    "subprocess.run": "subprocess.run(COMMAND, check=True)",
    "subprocess with a shell": "subprocess.run(shlex.join(COMMAND), shell=True, check=True)",
    "a preexec_fn": "subprocess.run(COMMAND, preexec_fn=os.getppid, check=True)",
    "a session of its own": "subprocess.run(COMMAND, start_new_session=True, check=True)",
    "os.posix_spawn": "assert os.waitpid(os.posix_spawn(COMMAND[0], COMMAND, os.environ), 0)[1] == 0",
    "os.system": "assert os.system(shlex.join(COMMAND)) == 0",
}


@pytest.mark.parametrize("statement", START.values(), ids=START)
def test_every_way_to_start_a_program_counts(suite: Suite, statement: str) -> None:
    suite.write(
        "test_subprocess.py",
        f"""
        import os, shlex, subprocess, sys

        COMMAND = [sys.executable, "-I", "-S", "-c", "import os; [os.getuid() for _ in range(1000)]"]

        def test_empty_program():
            COMMAND[-1] = "import os; [_ for _ in range(1000)]"
            {statement}

        def test_subprocess():
            COMMAND[-1] = "import os; [os.getuid() for _ in range(1000)]"
            {statement}
        """,
    )
    trace = suite.trace()
    without = trace.test("test_empty_program").phase("call").get("getuid", 0)
    assert trace.test("test_subprocess").phase("call")["getuid"] == without + 1000


def test_forks_among_busy_threads_count(suite: Suite) -> None:
    suite.write(
        "test_mixture.py",
        """
        import os, subprocess, sys, threading
        import pytest

        def loop():
            for _ in range(500):
                os.getppid()

        @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
        def test_mixture():
            threads = [threading.Thread(target=loop) for _ in range(4)]
            for thread in threads:
                thread.start()
            children = []
            for _ in range(4):
                pid = os.fork()
                if not pid:
                    loop()
                    os._exit(0)
                children.append(pid)
            program = [sys.executable, "-I", "-S", "-c", "import os; [os.getppid() for _ in range(500)]"]
            programs = [subprocess.Popen(program) for _ in range(2)]
            for thread in threads:
                thread.join()
            for pid in children:
                assert os.waitpid(pid, 0) == (pid, 0)
            for program in programs:
                assert program.wait() == 0
        """,
    )
    trace = suite.trace()
    assert trace.test("test_mixture").phase("call")["getppid"] == 5000


def test_a_call_that_a_signal_interrupts_counts_as_often_as_it_is_made(suite: Suite) -> None:
    # Until the recorder has received a call, a signal can end it: getppid then returns -1, and was not made. After
    # that, on Linux 5.19 and newer, only a deadly one can.
    suite.write(
        "test_signals.py",
        """
        import os, pathlib, signal

        def test_signals():
            signal.signal(signal.SIGALRM, lambda *_: None)
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            made = 0
            for _ in range(20000):
                made += os.getppid() > 0
            signal.setitimer(signal.ITIMER_REAL, 0)
            print("made", made)
        """,
    )
    finished = suite.run("--seccomp-trace=out.ndjson", "-rP").expect(0)
    assert finished.trace().test("test_signals").phase("call")["getppid"] == made(finished)


def test_a_call_that_kills_its_process_counts_and_one_that_never_comes_back_too(suite: Suite) -> None:
    suite.write(
        "test_ends.py",
        """
        import os, pathlib, signal, time

        def test_kills_itself():
            pid = os.fork()
            if not pid:
                os.kill(os.getpid(), signal.SIGKILL)
            assert os.waitpid(pid, 0) == (pid, signal.SIGKILL)

        def test_is_killed_in_a_call():
            pid = os.fork()
            if not pid:
                time.sleep(1000)
            sleeps = 1  # the child's
            while "nanosleep" not in pathlib.Path(f"/proc/{pid}/wchan").read_text():
                time.sleep(0.01)
                sleeps += 1
            os.kill(pid, signal.SIGKILL)
            assert os.waitpid(pid, 0) == (pid, signal.SIGKILL)
            print("made", sleeps)
        """,
    )
    finished = suite.run("--seccomp-trace=out.ndjson", "-rP").expect(0)
    trace = finished.trace()
    assert trace.test("test_kills_itself").phase("call")["kill"] == 1
    killed = trace.test("test_is_killed_in_a_call").phase("call")
    assert (killed["kill"], killed["wait4"]) == (1, 1)
    assert killed["clock_nanosleep"] == made(finished)
