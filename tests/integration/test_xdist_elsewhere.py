"""Workers of pytest-xdist that do not share the controller's folder, files or rights."""

import sys
from pathlib import Path

import pytest
from counting import counting_suite, expect_all
from elsewhere import python_elsewhere
from running import traced
from traced import Suite

pytestmark = pytest.mark.needs("listener")


@pytest.fixture
def counting(suite: Suite) -> Suite:
    """Tests whose calls are known."""
    return counting_suite(suite)


def test_workers_in_folders_of_their_own(counting: Suite, tmp_path: Path) -> None:
    """`chdir`: workers with a copy of the tests and nothing in common with the controller's folder."""
    folders = [tmp_path / "left", tmp_path / "right"]
    for folder in folders:
        folder.mkdir()
    elsewhere = [option for folder in folders for option in ("--tx", f"popen//chdir={folder}")]
    with traced(
        counting, "--dist=load", *elsewhere, f"--rsyncdir={counting.folder}", str(counting.folder), plugins=["xdist"]
    ) as run:
        trace = run.trace(status=0)
        run.expect_nothing_left()
    expect_all(trace)
    assert trace.run["workers"] == 2
    for folder in folders:
        assert counting.folder.name in {path.name for path in folder.iterdir()}
        assert list(folder.rglob("*.ndjson")) == []


@pytest.mark.needs("root", "mount")
def test_workers_that_do_not_see_the_controllers_files(counting: Suite, tmp_path: Path) -> None:
    """As on another host: the spools come through workeroutput."""
    elsewhere = python_elsewhere(tmp_path)
    with traced(counting, "--dist=load", "--tx", elsewhere, "--tx", elsewhere, plugins=["xdist"]) as run:
        trace = run.trace(status=0)
        run.expect_nothing_left()
    expect_all(trace)
    assert {line.worker for line in trace.harnesses} == {"gw0", "gw1"}


@pytest.mark.needs("root", "mount")
def test_a_worker_elsewhere_in_which_a_test_lowers_the_limit_of_open_files(suite: Suite, tmp_path: Path) -> None:
    """It has to read its spool."""
    suite.write(
        "test_limit.py",
        """
        import os, resource

        def test_limit():
            os.getppid()
            resource.setrlimit(resource.RLIMIT_NOFILE, (5, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        """,
    )
    options = ["--dist=load", "--tx", python_elsewhere(tmp_path), "-p", "no:cacheprovider"]
    with traced(suite, *options, plugins=["xdist"]) as run:
        trace = run.trace(status=0)
        run.expect_nothing_left()
    assert trace.complete
    assert trace.test("test_limit").own["call"]["getppid"] == 1


@pytest.mark.needs("root", "mount")
def test_a_worker_elsewhere_that_is_lost_is_named(suite: Suite, tmp_path: Path) -> None:
    """Its spool is on the other host; its replacement's is there."""
    suite.write(
        "test_exit.py",
        """
        import os, pytest

        @pytest.mark.parametrize("number", range(4))
        def test_calls(number):
            os.getppid()
            if number == 1:
                os._exit(3)
        """,
    )
    with traced(suite, "--dist=load", "--tx", python_elsewhere(tmp_path), plugins=["xdist"]) as run:
        finished = run.finish(pytest.ExitCode.TESTS_FAILED)
        run.expect_nothing_left()
    assert "worker gw0 has sent nothing" in finished.stdout
    trace = finished.trace()
    assert not trace.complete
    assert trace.run["lost"] is None
    assert trace.run["reasons"] == ["worker gw0 has sent nothing"]
    assert {line.nodeid for line in trace.tests} == {f"test_exit.py::test_calls[{number}]" for number in (2, 3)}


def test_a_worker_that_cannot_be_traced_says_why(suite: Suite, tmp_path: Path) -> None:
    """Under a filter of its own that refuses seccomp(2) a worker runs no test, and the run ends with the reason."""
    suite.write(
        "test_many.py", "import pytest\n@pytest.mark.parametrize('n', range(9))\ndef test_many(n):\n    assert 0\n"
    )
    wrapper = tmp_path / "python"
    program = (
        "import os, sys, pyseccomp; f = pyseccomp.SyscallFilter(pyseccomp.ALLOW); "
        "f.add_rule(pyseccomp.ERRNO(1), 'seccomp'); f.load(); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{program}" "$@"\n')
    wrapper.chmod(0o755)
    with traced(suite, "--dist=load", "--tx", f"popen//python={wrapper}", plugins=["xdist"]) as run:
        finished = run.finish()
        run.expect_nothing_left()
    assert finished.status == pytest.ExitCode.INTERRUPTED
    assert "failed" not in finished.stdout
    assert "worker gw0: seccomp(2) is refused here" in finished.stdout
