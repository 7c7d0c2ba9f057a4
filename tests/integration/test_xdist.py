"""pytest-xdist in every form: the same counts, the same exit status, one line for each run of a test."""

import re

import pytest
from counting import counting_suite, expect_all
from running import Run, traced
from traced import Suite

pytestmark = pytest.mark.needs("listener")


@pytest.fixture
def counting(suite: Suite) -> Suite:
    """Tests whose calls are known."""
    return counting_suite(suite)


@pytest.mark.parametrize(
    ("options", "workers"),
    [
        ("-n 2", 2),
        ("-n 0", 0),
        ("-n 1", 1),
        ("-n 2 --dist loadgroup", 2),
        ("-n 2 --dist loadfile", 2),
        ("-n 2 --dist loadscope", 2),
        ("-n 2 --dist worksteal", 2),
        ("-n 2 --dist no", 2),
        ("-d --tx 2*popen", 2),
        ("--dist load --tx popen --tx popen", 2),
        ("--tx 2*popen", 0),
        ("--dist load", 0),
        ("-n auto --pdb", 0),
        ("-n auto --maxprocesses 1", 1),
        ("-n 2 -p no:terminal", 2),
        ("-n 2 -p no:cacheprovider -q", 2),
    ],
)
def test_forms(counting: Suite, options: str, workers: int) -> None:
    with traced(counting, *options.split(), plugins=["xdist"]) as run:
        trace = run.trace(status=0)
        run.expect_nothing_left()
    expect_all(trace)
    assert trace.run["workers"] == workers
    names: set[str | None] = {f"gw{number}" for number in range(workers)} or {None}
    assert {line.worker for line in trace.collections} == names
    assert {line.worker for line in trace.harnesses} == names
    assert {line.worker for line in trace.tests} <= names


def test_each(counting: Suite) -> None:
    """Every worker runs every test: a line for each run."""
    with traced(counting, "--dist=each", "--tx=2*popen", plugins=["xdist"]) as run:
        trace = run.trace(status=0)
        run.expect_nothing_left()
    expect_all(trace, times=2)


@pytest.mark.parametrize("variable", ["0", "1"])
def test_auto_as_the_environment_says(counting: Suite, variable: str) -> None:
    with traced(
        counting, "-n", "auto", plugins=["xdist"], environment={"PYTEST_XDIST_AUTO_NUM_WORKERS": variable}
    ) as run:
        trace = run.trace(status=0)
    expect_all(trace)
    assert trace.run["workers"] == int(variable)


def test_a_hook_that_wants_no_worker_at_the_last_moment(counting: Suite) -> None:
    """Then the run is not traced, since its conftests are imported already; it does not claim to be."""
    counting.write("conftest.py", "def pytest_xdist_auto_num_workers():\n    return 0\n")
    with traced(counting, "-n", "auto", plugins=["xdist"]) as run:
        finished = run.finish(0)
        run.expect_nothing_left()
    assert "no xdist worker was started" in finished.stdout
    assert not finished.trace().complete


def test_without_the_plugin_the_option_is_refused_as_ever(counting: Suite) -> None:
    plain = counting.run("-n", "2", "-p", "no:xdist")
    with traced(counting, "-n", "2", "-p", "no:xdist") as run:
        run.finish(plain.status)
        run.expect_nothing_left()
    assert not (counting.folder / "out.ndjson").exists()


def test_not_even_installed_it_is_not_missed(counting: Suite) -> None:
    with traced(counting, "-p", "no:xdist") as run:
        expect_all(run.trace(status=0))


def test_only_collecting(counting: Suite) -> None:
    """xdist does not distribute then, and the one process that collects is traced: nobody misses a worker."""
    with traced(counting, "--collect-only", "-n", "2", plugins=["xdist"]) as run:
        finished = run.finish(0)
        run.expect_nothing_left()
    assert "seccomp: no test was traced: out.ndjson is not written\n" in finished.stdout
    assert "worker" not in finished.stdout


STOPPING = """
    import os, pytest

    @pytest.mark.parametrize("number", range(40))
    def test_many(number):
        for _ in range(number):
            os.getppid()
        assert number != 5
"""


@pytest.mark.parametrize("option", ["-x", "--maxfail=1"])
def test_stopping_at_a_failure(suite: Suite, option: str) -> None:
    """What ran is recorded, and nothing is missing: a complete trace of a run that was stopped."""
    suite.write("test_many.py", STOPPING)
    plain = suite.run("-n2", option, plugins=["xdist"])
    with traced(suite, "-n2", option, plugins=["xdist"]) as run:
        trace = run.trace(status=plain.status)
        run.expect_nothing_left()
    assert trace.complete
    assert trace.test("test_many[5]").outcome == "failed"
    for line in trace.tests:
        number = int(line.nodeid.partition("[")[2].rstrip("]"))
        assert line.phase("call").get("getppid", 0) == number


def run_twice(suite: Suite, *options: str, plugins: list[str]) -> tuple[str, str]:
    """The last lines of a run without and of one with tracing, how many passed and failed; their statuses agree."""
    plain = suite.run(*options, plugins=plugins)
    with traced(suite, *options, plugins=plugins) as run:
        finished = run.finish(plain.status)
        run.expect_nothing_left()
    return _summary(plain.stdout), _summary(finished.stdout)


def _summary(stdout: str) -> str:
    return re.sub(r" in [0-9.]+s.*", "", stdout.splitlines()[-1].strip("= "))


@pytest.mark.parametrize("options", ["-n2", "-n2 -x", "-n0", "-n2 --dist=loadfile", "-n2 -k nothing", "-n2 missing.py"])
def test_the_exit_status_is_that_without(suite: Suite, options: str) -> None:
    suite.write(
        "test_mixed.py",
        """
        import pytest

        def test_passes():
            pass

        def test_fails():
            assert False

        @pytest.mark.xfail
        def test_is_expected_to_fail():
            assert False

        @pytest.mark.skip
        def test_is_skipped():
            pass

        @pytest.fixture
        def broken():
            raise RuntimeError

        def test_has_a_broken_fixture(broken):
            pass
        """,
    )
    plain, with_tracing = run_twice(suite, *options.split(), plugins=["xdist"])
    if "-x" not in options:  # how far the others come varies
        assert with_tracing == plain


def test_a_run_that_is_not_traced_is_not_touched(counting: Suite) -> None:
    with Run(counting, "-n2", plugins=["xdist"]) as run:
        finished = run.finish(0)
        run.expect_nothing_left()
    assert "seccomp" not in finished.output.replace("plugins: seccomp", "")
