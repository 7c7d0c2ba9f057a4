"""Tests that leave processes behind: those go on working, and nobody waits for them."""

import pytest
from running import Run, traced, until
from traced import Suite

pytestmark = pytest.mark.needs("listener")

DAEMON = """
    import os, pathlib, time

    def test_leaves_a_daemon():
        if os.fork() == 0:
            os.setsid()
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(null, descriptor)
            os.closerange(3, 4096)  # as daemons do: pytest's capturing has a copy of its standard output among them
            if os.fork():
                os._exit(0)
            while not pathlib.Path("go").exists():
                time.sleep(0.01)
            for _ in range(1000):
                os.getppid()
            pathlib.Path("worked").write_text(str(os.getpid()))
            os._exit(0)
        os.wait()

    def test_after():
        for _ in range(50):
            os.getppid()
"""


@pytest.fixture
def leaving(suite: Suite) -> Suite:
    """A test that leaves a daemon behind, which waits for `go`, makes calls, and touches `worked`."""
    suite.write("test_daemon.py", DAEMON)
    return suite


def expect_at_work(run: Run) -> None:
    """The daemon does its work after pytest's end, and after its own end nothing is left."""
    run.expect_nothing_left(daemons=True)
    assert [process for process in run.processes() if not process.is_ours]
    assert not (run.suite.folder / "worked").exists()
    (run.suite.folder / "go").touch()
    until("the daemon's work", (run.suite.folder / "worked").exists)
    run.expect_nothing_left()


@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["alone", "xdist"])
def test_goes_on_when_pytest_has_ended(leaving: Suite, options: tuple[str, ...]) -> None:
    with traced(leaving, *options, plugins=["xdist"]) as run:
        trace = run.trace(status=0)
        assert trace.complete
        assert trace.counts["getppid"] == 50 + max(line.counts.get("getppid", 0) for line in trace.collections)
        expect_at_work(run)


def test_goes_on_when_pytest_was_killed(leaving: Suite) -> None:
    leaving.write(
        "test_z.py", "import pathlib, time\ndef test_z():\n    pathlib.Path('z').touch()\n    time.sleep(1000)\n"
    )
    with traced(leaving) as run:
        run.wait_for("z")
        run.kill()
        run.finish()
        until("a trace", (leaving.folder / "out.ndjson").exists)
        expect_at_work(run)
        assert not run.finish().trace().complete


def test_goes_on_when_the_recorder_was_killed(leaving: Suite) -> None:
    with traced(leaving) as run:
        run.finish(0)
        run.recorder().kill()
        expect_at_work(run)


def test_the_pipe_that_pytest_writes_to_ends_with_it(leaving: Suite) -> None:
    """`pytest | cat`: cat ends when nobody has the pipe any more, and neither recorder nor standby has it."""
    with traced(leaving, before=["sh", "-c", '"$@" | cat', "sh"]) as run:
        assert "2 passed" in run.finish(0).stdout
        expect_at_work(run)


def test_a_child_that_lives_on_counts_for_the_test_that_is_running(suite: Suite) -> None:
    suite.write(
        "test_child.py",
        """
        import os

        read, write = os.pipe()
        done_read, done_write = os.pipe()

        def test_starts():
            if os.fork() == 0:
                os.read(read, 1)
                for _ in range(500):
                    os.getppid()
                os.write(done_write, b"x")
                os._exit(0)

        def test_idle():
            pass

        def test_running():
            os.write(write, b"x")
            os.read(done_read, 1)
            os.wait()
        """,
    )
    with traced(suite) as run:
        trace = run.trace(status=0)
        run.expect_nothing_left()
    assert trace.complete
    assert "getppid" not in trace.test("test_starts").counts
    assert "getppid" not in trace.test("test_idle").counts  # the child may begin to read only now
    assert trace.test("test_running").phase("call")["getppid"] == 500
