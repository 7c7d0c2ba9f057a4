"""Whole runs under the audit backend: exact, proved to be, and in any other case incomplete with the reason."""

import sys
from pathlib import Path

import pytest
from counting import counting_suite, expect_all
from running import traced, until
from traced import Suite, Trace, without_futex

from pytest_seccomp.recorder import protocol

pytestmark = pytest.mark.needs("audit")

AUDIT = "--seccomp-backend=audit"
HEADER = "every call becomes a record of this host's audit"


@pytest.mark.parametrize("options", [(), ("-n2",), ("-n0",)], ids=["alone", "two workers", "no worker"])
def test_each_test_has_exactly_its_calls(suite: Suite, options: tuple[str, ...]) -> None:
    plugins = ["xdist"] if options else []
    finished = counting_suite(suite).run("--seccomp-trace=out.ndjson", AUDIT, *options, plugins=plugins).expect(0)
    trace = finished.trace()
    expect_all(trace)
    assert trace.run["backend"] == "audit"
    assert f"seccomp: {HEADER}" in finished.stdout
    assert "system calls: audit, complete" in finished.stdout


FOUR_PROCESSES = """
    import os, subprocess, sys, pytest

    CALLS = "import os\\nfor _ in range({each}): os.getppid()"

    @pytest.mark.parametrize("number", range({tests}))
    def test_four(number):
        children = [subprocess.Popen([sys.executable, "-I", "-S", "-c", CALLS]) for _ in range(4)]
        assert [child.wait() for child in children] == [0] * 4

    def test_empty():
        pass
"""


@pytest.mark.parametrize(
    ("options", "tests", "each"), [((), 1, 25_000), (("-n2",), 2, 12_500)], ids=["alone", "two workers"]
)
def test_100_000_calls_in_four_processes(suite: Suite, options: tuple[str, ...], tests: int, each: int) -> None:
    suite.write("test_four.py", FOUR_PROCESSES.format(tests=tests, each=each))
    trace = suite.trace(AUDIT, *options, plugins=["xdist"])
    assert [trace.test(f"test_four[{number}]").phase("call")["getppid"] for number in range(tests)] == [
        4 * each
    ] * tests
    assert without_futex(trace.test("test_empty").own) == {}
    assert (trace.complete, trace.run["lost"]) == (True, 0)


SAME = """
    import os, subprocess, sys, threading, pytest

    def calls(number):
        for _ in range(number):
            os.getppid()

    @pytest.fixture(scope="module")
    def wide():
        calls(7)
        yield
        calls(9)

    @pytest.fixture
    def narrow():
        calls(3)
        yield
        calls(5)

    def test_phases(wide, narrow):
        calls(100)

    def test_forked():
        for _ in range(3):
            if not os.fork():
                calls(11)
                os._exit(0)
            os.wait()

    def test_program():
        subprocess.run(["ls", "/"], stdout=subprocess.DEVNULL)

    def test_session():
        subprocess.run([sys.executable, "-I", "-S", "-c", "import os; os.setsid(); os.getppid()"], check=True)

    @pytest.mark.xfail
    def test_fails():
        calls(2)
        raise OSError

    def test_skips():
        calls(4)
        pytest.skip()

    def test_signal():
        calls(1)
        child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import os; os.kill(os.getpid(), 9)"])
        assert child.wait() == -9

    def test_temporary_files(tmp_path):
        (tmp_path / "file").write_text("text")

    def test_empty():
        pass
"""


@pytest.mark.needs("listener")
def test_a_trace_is_the_same_as_that_of_notify(suite: Suite) -> None:
    suite.write("test_same.py", SAME)
    # With byte code written, an import in a fixture would list the folder once more in the first of two runs
    kept = {"PYTHONDONTWRITEBYTECODE": "1"}
    # Where other runs make theirs, the folder for temporary files may take more than one attempt
    folders = [suite.folder.parent / name for name in ("one", "two")]
    audit = suite.trace(AUDIT, f"--basetemp={folders[0]}", environment=kept)
    notify = suite.trace("--seccomp-backend=notify", f"--basetemp={folders[1]}", environment=kept)
    assert audit.complete
    assert audit.phases == notify.phases
    assert audit.outcomes == notify.outcomes
    assert audit.phases["test_phases"] == {
        "setup": {"getppid": 3}, "call": {"getppid": 100}, "teardown": {"getppid": 5}, "shared": {"getppid": 7}
    }  # fmt: skip
    assert audit.phases["test_empty"] == {"shared": {"getppid": 9}}


def test_last_words_count(suite: Suite) -> None:
    """What was logged just before the end is read before it."""
    suite.write(
        "test_last.py",
        """
        import os, threading

        def test_last():
            for _ in range(5000):
                os.getppid()
        """,
    )
    for _ in range(2):
        trace = suite.trace(AUDIT)
        assert (trace.test("test_last").own, trace.complete) == ({"call": {"getppid": 5000}}, True)


def test_two_runs_at_a_time_do_not_see_each_other(suite: Suite, tmp_path: Path) -> None:
    other = Suite(tmp_path / "other")
    for one, call in ((suite, "getppid"), (other, "getuid")):
        one.write(
            "test_both.py",
            f"""
            import os, pathlib, time

            def test_both():
                pathlib.Path("here").touch()
                while not (pathlib.Path({str(tmp_path)!r}) / "go").exists():
                    time.sleep(0.01)
                for _ in range(3000):
                    os.{call}()
            """,
        )
    with traced(suite, AUDIT) as first, traced(other, AUDIT) as second:
        first.wait_for("here")
        second.wait_for("here")
        (tmp_path / "go").touch()
        traces = first.trace(0), second.trace(0)
    for trace, call, others in zip(traces, ("getppid", "getuid"), ("getuid", "getppid"), strict=True):
        counts = trace.test("test_both").phase("call")
        assert (counts[call], counts.get(others, 0), trace.complete) == (3000, 0, True)


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


def test_a_killed_pytest(suite: Suite) -> None:
    suite.write("test_waiting.py", WAITING)
    with traced(suite, AUDIT) as run:
        run.wait_for("waiting")
        run.kill()
        trace = run.salvaged()
    assert not trace.complete
    assert trace.run["exit_status"] is None
    before, test = trace.tests
    assert (before.complete, before.outcome, before.own) == (True, "passed", {"call": {"getppid": 100}})
    assert (test.complete, test.outcome, test.phase("call")["getppid"]) == (False, None, 200)
    assert "test_waiting.py::test_waiting did not finish" in trace.run["reasons"]


def test_a_killed_recorder(suite: Suite) -> None:
    """No call waits for it: the test goes on, and the session stops after it."""
    suite.write("test_waiting.py", WAITING)
    with traced(suite, AUDIT) as run:
        run.wait_for("waiting")
        run.wait_for_line("test_before")
        (recorder,) = run.recorders()
        recorder.kill()
        (suite.folder / "go").touch()
        trace = run.trace(status=pytest.ExitCode.INTERRUPTED)
        run.expect_nothing_left()
    assert not trace.complete
    assert any("the recorder died" in reason for reason in trace.run["reasons"])
    assert "test_before" in trace.phases
    assert "test_after" not in trace.phases


def test_a_daemon_that_outlives_pytest_ends_nothing_and_keeps_nothing(suite: Suite) -> None:
    suite.write(
        "test_daemon.py",
        """
        import pathlib, subprocess, sys

        def test_daemon():
            code = "import pathlib, time\\nwhile not pathlib.Path('go').exists(): time.sleep(0.01)\\n" \\
                "pathlib.Path('gone').touch()"
            subprocess.Popen([sys.executable, "-c", code], start_new_session=True,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        """,
    )
    with traced(suite, AUDIT, "-W", "ignore::ResourceWarning") as run:
        trace = run.trace(status=0)
        until("no recorder", lambda: not run.recorders())
        (suite.folder / "go").touch()
        until("the daemon's last words", (suite.folder / "gone").exists)
    assert trace.complete, trace.run


def test_a_test_that_closes_our_descriptors(suite: Suite) -> None:
    suite.write(
        "test_closing.py",
        """
        import os

        def test_before():
            os.getppid()

        def test_closing():
            os.closerange(20, 4096)

        def test_after():
            pass
        """,
    )
    finished = suite.run("--seccomp-trace=out.ndjson", AUDIT)
    assert finished.status == pytest.ExitCode.INTERRUPTED, finished.output
    trace = finished.trace()
    assert not trace.complete
    assert protocol.CLOSED in trace.run["reasons"]
    assert trace.test("test_before").own == {"call": {"getppid": 1}}


def test_a_traced_run_in_a_traced_one_is_refused(suite: Suite) -> None:
    """Its recorder would read the records of its own reading."""
    suite.write("inner/pytest.ini", "[pytest]\n")
    suite.write("inner/test_inner.py", "import os\ndef test_inner():\n    for _ in range(100): os.getppid()\n")
    suite.write(
        "test_outer.py",
        """
        import subprocess, sys

        def test_outer():
            command = [sys.executable, "-m", "pytest", "-p", "seccomp", "--seccomp-trace=inner.ndjson"]
            result = subprocess.run(
                [*command, "--seccomp-backend=audit"], cwd="inner", capture_output=True, text=True
            )
            assert result.returncode == 4
            assert "under a filter itself that has each of its calls logged" in result.stderr
            assert "--no-seccomp-trace" in result.stderr

        def test_the_way_out():
            command = [sys.executable, "-m", "pytest", "-p", "seccomp", "--seccomp-trace=inner.ndjson"]
            subprocess.run([*command, "--no-seccomp-trace"], cwd="inner", check=True)
        """,
    )
    outer = suite.trace(AUDIT, "test_outer.py")
    assert outer.complete, outer.run
    assert outer.test("test_the_way_out").phase("call")["getppid"] >= 100


LOGGED_IN = (
    "import os, sys; sys.path.append(sys.argv[1])\n"
    "from pytest_seccomp.linux import audit_session\n"
    "audit_session.begin()\n"
    "os.execvp(sys.argv[2], sys.argv[2:])"
)


@pytest.fixture
def login() -> list[str]:
    """A command that runs what follows as if for a user who has logged in, with CAP_AUDIT_READ alone."""
    package = str(Path(protocol.__file__).parents[2])
    without = ["setpriv", "--bounding-set=-audit_control", "--inh-caps=-audit_control"]
    return [sys.executable, "-I", "-c", LOGGED_IN, package, *without]


def test_without_a_session_of_its_own_processes_are_known_by_their_descent(suite: Suite, login: list[str]) -> None:
    counting_suite(suite)
    suite.write(
        "test_children.py",
        """
        import subprocess, sys

        CALLS = "import os\\nfor _ in range(200): os.getppid()\\nimport sys; print(flush=True); sys.stdin.read()"

        def test_children(seccomp_trace):
            command = [sys.executable, "-I", "-S", "-c", CALLS]
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            child.stdout.readline()
            with seccomp_trace():
                pass  # now the recorder has read what the child has called, and looked for it while it was there
            child.communicate()
        """,
    )
    finished = suite.run("--seccomp-trace=out.ndjson", AUDIT, before=login).expect(0)
    trace = finished.trace()
    assert "the kernel's own account of lost records is not known: that takes CAP_AUDIT_CONTROL" in finished.stdout
    assert trace.test("test_children").phase("call")["getppid"] == 200
    for name in ("one", "two"):
        for number in range(6):
            assert trace.test(f"test_{name}[{number}]").own == {"call": {"getppid": 100 + number}}
    _expect_complete_but_for_others(trace)


def _expect_complete_but_for_others(trace: Trace) -> None:
    """Other tests have the same login, and are traced at the same time perhaps."""
    assert trace.complete or all("short-lived processes" in reason for reason in trace.run["reasons"]), trace.run


UNDER_A_LISTENER = (
    "import ctypes, os, sys; sys.path.append(sys.argv[1])\n"
    "from pytest_seccomp.linux import raw, seccomp\n"
    "from pytest_seccomp.linux.architecture import native\n"
    "never = seccomp.load(seccomp.OFFSET_NUMBER) + seccomp.unless_equal(0x12345678, 1)\n"
    "code = never + seccomp.verdict(seccomp.RET_USER_NOTIF) + seccomp.verdict(seccomp.RET_ALLOW)\n"
    "program = ctypes.byref(seccomp.FilterProgram(code))\n"
    "os.set_inheritable(raw.syscall('seccomp', native().seccomp, 1, seccomp.FLAG_NEW_LISTENER, program), True)\n"
    "os.execvp(sys.argv[2], sys.argv[2:])"
)


@pytest.mark.needs("listener")
def test_where_notify_does_not_work_it_is_taken_and_the_header_says_why(suite: Suite) -> None:
    """As in a container whose runtime is a supervisor for a few calls of its own."""
    package = str(Path(protocol.__file__).parents[2])
    before = [sys.executable, "-I", "-c", UNDER_A_LISTENER, package]
    suite.write("test_one.py", "import os\ndef test_one():\n    for _ in range(100): os.getppid()\n")
    finished = suite.run("--seccomp-trace=out.ndjson", AUDIT.replace("audit", "notify"), before=before)
    assert finished.status == pytest.ExitCode.USAGE_ERROR
    assert "under another seccomp listener already" in finished.stderr
    finished = suite.run("--seccomp-trace=out.ndjson", "--seccomp-backend=auto", before=before).expect(0)
    trace = finished.trace()
    assert (trace.run["backend"], trace.complete) in {("audit", True), ("ebpf", True)}
    assert trace.test("test_one").own == {"call": {"getppid": 100}}
    if trace.run["backend"] == "audit":
        assert "seccomp: backend notify does not work here: this process is under another" in finished.stdout
