"""A pytest inside of a pytest: the kernel allows one listener in a chain of filters."""

import pytest
from running import Run, traced
from traced import Suite, without_futex

pytestmark = pytest.mark.needs("listener")

INNER = """
    import os

    def test_inner():
        for _ in range(100):
            os.getppid()
"""

EXPLANATION = "is under another seccomp listener already"
WAY_OUT = "--no-seccomp-trace"
NOTIFY = "--seccomp-backend=notify"


@pytest.fixture
def nesting(suite: Suite) -> Suite:
    """A folder `inner` with a suite that makes 100 calls."""
    suite.write("inner/pytest.ini", "[pytest]\n")
    suite.write("inner/test_inner.py", INNER)
    return suite


def test_a_traced_one_in_a_traced_one_is_refused(nesting: Suite) -> None:
    """In a process of its own: exit status 4, and one line that explains it and names a way out."""
    nesting.write(
        "test_outer.py",
        f"""
        import pathlib, subprocess, sys, tempfile

        def test_outer():
            result = subprocess.run(
                [sys.executable, "-m", "pytest", "-p", "seccomp", "--seccomp-trace=inner.ndjson", {NOTIFY!r}],
                cwd="inner", capture_output=True, text=True,
            )
            assert result.returncode == 4
            (line,) = result.stderr.split("\\n")[:-2]
            assert line.startswith("ERROR: pytest-seccomp: ")
            assert {EXPLANATION!r} in line
            assert {WAY_OUT!r} in line
            assert "Traceback" not in result.stderr
            assert result.stdout == ""
            assert not pathlib.Path("inner/inner.ndjson").exists()
            (ours,) = pathlib.Path(tempfile.gettempdir()).glob("pytest-seccomp-*")
        """,
    )
    with traced(nesting, "test_outer.py") as run:
        trace = run.trace(status=0)
        run.expect_nothing_left()
    assert trace.complete


def test_the_way_out(nesting: Suite) -> None:
    """With tracing switched off the inner one works, also where its environment asks for a trace."""
    nesting.write(
        "test_outer.py",
        f"""
        import os, subprocess, sys

        def test_outer():
            environment = {{**os.environ, "PYTEST_ADDOPTS": "-p seccomp {NOTIFY} --seccomp-trace=inner.ndjson"}}
            subprocess.run([sys.executable, "-m", "pytest", {WAY_OUT!r}], cwd="inner", env=environment, check=True)
            assert not os.path.exists("inner/inner.ndjson")
        """,
    )
    with traced(nesting, "test_outer.py") as run:
        trace = run.trace(status=0)
        run.expect_nothing_left()
    assert trace.complete
    assert trace.test("test_outer").phase("call")["getppid"] >= 100


@pytest.mark.parametrize("options", ["", "-n2"])
def test_an_inner_one_without_the_option_is_traced_by_the_outer(nesting: Suite, options: str) -> None:
    nesting.write(
        "test_outer.py",
        f"""
        import subprocess, sys

        def test_outer():
            command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "seccomp", *{options.split()}]
            result = subprocess.run(command, cwd="inner", capture_output=True, text=True)
            assert result.returncode == 0, result.stdout + result.stderr
            assert "1 passed" in result.stdout
            assert "seccomp:" not in result.stdout
        """,
    )
    with traced(nesting, "test_outer.py", plugins=["xdist"]) as run:
        trace = run.trace(status=0)
        run.expect_nothing_left()
    assert trace.complete
    assert trace.test("test_outer").phase("call")["getppid"] >= 100


def test_an_inner_one_in_the_same_process(nesting: Suite) -> None:
    """pytest.main in a test: refused with the option, traced by the outer one without."""
    nesting.write(
        "test_outer.py",
        """
        import pytest

        def test_with(capsys):
            assert pytest.main(["inner", "-p", "seccomp", "--seccomp-trace=inner.ndjson"]) == 4
            assert "this process is traced already" in capsys.readouterr().err

        def test_without():
            assert pytest.main(["inner", "-p", "seccomp", "-p", "no:cacheprovider"]) == 0
        """,
    )
    with traced(nesting, "test_outer.py") as run:
        trace = run.trace(status=0)
        run.expect_nothing_left()
    assert trace.complete
    assert set(trace.outcomes.values()) == {"passed"}
    assert trace.test("test_without").phase("call")["getppid"] >= 100


def test_inside_of_pytester(suite: Suite) -> None:
    """pytester.inline_run is how plugins test themselves."""
    suite.write(
        "test_outer.py",
        """
        import os

        pytest_plugins = ["pytester"]

        def test_inline(pytester):
            pytester.makeini("[pytest]")
            pytester.makepyfile("import os\\ndef test_inner():\\n    for _ in range(100):\\n        os.getppid()")
            pytester.inline_run("-p", "no:cacheprovider").assertoutcome(passed=1)

        def test_after():
            for _ in range(7):
                os.getppid()
        """,
    )
    with traced(suite) as run:
        trace = run.trace(status=0)
        run.expect_nothing_left()
    assert trace.complete
    assert trace.test("test_inline").phase("call")["getppid"] >= 100
    assert trace.test("test_after").own == {"call": {"getppid": 7}}


def test_two_sessions_in_one_process(nesting: Suite) -> None:
    """A filter cannot be taken off again: the first is traced, the second is refused."""
    program = """
        import sys, pytest

        notify = "--seccomp-backend=notify"
        command = ["inner", "-p", "seccomp", "-p", "no:cacheprovider"]
        first = pytest.main([*command, notify, "--seccomp-trace=first.ndjson"])
        second = pytest.main([*command, notify, "--seccomp-trace=second.ndjson"])
        third = pytest.main(command)
        sys.exit(f"{int(first)} {int(second)} {int(third)}")
    """
    nesting.write("run.py", program)
    # Run with what would be the options of pytest: run.py takes none
    with traced(nesting, before=["sh", "-c", 'exec "$1" run.py', "sh"]) as run:
        finished = run.finish(1)
        run.expect_nothing_left()
    assert finished.stderr.splitlines()[-1] == "0 4 0"
    assert EXPLANATION in finished.stderr
    trace = finished.trace("first.ndjson")
    assert trace.complete
    assert trace.test("test_inner").own == {"call": {"getppid": 100}}
    assert not (nesting.folder / "second.ndjson").exists()


@pytest.mark.parametrize("options", ["", "-n0", "-n2"])
def test_a_traced_one_in_an_untraced_xdist_worker(nesting: Suite, options: str) -> None:
    """What xdist puts into the environment of its workers does not make a worker of the inner one."""
    nesting.write(
        "test_outer.py",
        f"""
        import subprocess, sys

        def test_outer():
            command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "seccomp", "--seccomp-trace=../out.ndjson"]
            subprocess.run([*command, {NOTIFY!r}, *{options.split()}], cwd="inner", check=True)
        """,
    )
    with Run(nesting, "-n1", "test_outer.py", plugins=["xdist"]) as run:
        finished = run.finish(0)
        run.expect_nothing_left()
    trace = finished.trace()
    assert trace.complete
    assert trace.run["workers"] == (2 if options == "-n2" else 0)
    assert without_futex(trace.test("test_inner").own) == {"call": {"getppid": 100}}
    assert trace.test("test_inner").worker in (("gw0", "gw1") if options == "-n2" else (None,))


def test_tests_do_not_inherit_the_workers_assignment(nesting: Suite) -> None:
    """A traced worker's test sees no variable of ours, and a traced run that it starts is told why that cannot be."""
    nesting.write(
        "test_outer.py",
        f"""
        import os, subprocess, sys

        def test_outer():
            assert [name for name in os.environ if "SECCOMP" in name] == []
            command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "seccomp", "--seccomp-trace=x", "-n2"]
            result = subprocess.run([*command, {NOTIFY!r}], cwd="inner", capture_output=True, text=True)
            assert result.returncode == 4
            assert {EXPLANATION!r} in result.stderr
        """,
    )
    with traced(nesting, "-n1", "test_outer.py", plugins=["xdist"]) as run:
        trace = run.trace(status=0)
        run.expect_nothing_left()
    assert trace.complete
