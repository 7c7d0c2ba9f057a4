"""Sessions that do not go their usual way: a whole trace, or none and nothing left of it."""

import pytest
from running import Run, traced
from traced import Suite

pytestmark = pytest.mark.needs("listener")

PASSING = "import os\ndef test_one():\n    os.getppid()\n"


def expect_no_trace(suite: Suite, *options: str, status: int, plugins: tuple[str, ...] = ()) -> str:
    """The run ends as it does without tracing, and leaves no file and no process. Returns what it said."""
    plain = suite.run(*options, plugins=plugins)
    with traced(suite, *options, plugins=plugins) as run:
        finished = run.finish(status)
        run.expect_nothing_left()
    assert plain.status == status
    assert list(suite.folder.glob("out*")) == []
    return finished.output


@pytest.mark.parametrize("option", ["--version", "-VV", "--help", "-h"])
def test_no_session_at_all(suite: Suite, option: str) -> None:
    suite.write("test_one.py", PASSING)
    output = expect_no_trace(suite, option, status=0)
    assert "seccomp: backend" not in output


def expect_kept(suite: Suite, *options: str, plugins: tuple[str, ...] = ()) -> list[str]:
    """A run without a test, which ends as it does without tracing: it writes no trace, and with or without appending
    it leaves the one alone that is there. Returns what it said of it each time."""
    plain = suite.run(*options, plugins=plugins)
    said = []
    for earlier in ([], ["--seccomp-trace-append"], []):
        before = {path: path.read_bytes() for path in suite.folder.glob("*out*")}
        with traced(suite, *earlier, *options, plugins=plugins) as run:
            finished = run.finish(plain.status)
            run.expect_nothing_left()
        assert {path: path.read_bytes() for path in suite.folder.glob("*out*")} == before
        assert "system calls: " not in finished.stdout
        said += [line for line in finished.output.splitlines() if "no test was traced" in line]
        if not before:
            with traced(suite, "test_one.py") as run:
                run.finish(0)
    return said


LEFT = "seccomp: no test was traced: out.ndjson is left as it was"
NOT_WRITTEN = "seccomp: no test was traced: out.ndjson is not written"


@pytest.mark.parametrize(
    "options",
    [
        ("--fixtures",),
        ("--fixtures-per-test",),
        ("--cache-show",),
        ("--collect-only",),
        ("--collect-only", "-q"),
        ("--setup-plan",),
        ("--setup-only",),
        ("-k", "nothing"),
        ("does_not_exist.py",),
        ("test_one.py::test_does_not_exist",),
        ("test_broken.py",),
        ("empty",),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["alone", "xdist"])
def test_a_run_without_a_test_replaces_no_trace(
    suite: Suite, workers: tuple[str, ...], options: tuple[str, ...]
) -> None:
    """Whatever the reason is: another question, a typo, a module that cannot be imported."""
    suite.write("test_one.py", PASSING)
    suite.write("test_broken.py", "import does_not_exist\n")
    suite.write("pytest.ini", "[pytest]\ntestpaths = test_one.py\n")
    (suite.folder / "empty").mkdir()
    assert expect_kept(suite, *workers, *options, plugins=("xdist",)) == [NOT_WRITTEN, LEFT, LEFT]


def test_a_question_without_a_session_is_just_answered(suite: Suite) -> None:
    suite.write("test_one.py", PASSING)
    assert expect_kept(suite, "--markers") == []


def test_a_run_without_a_test_says_so_without_a_terminal_too(suite: Suite) -> None:
    suite.write("test_one.py", PASSING)
    said = expect_kept(suite, "-k", "nothing", "-p", "no:terminal")
    assert said[1:] == ["pytest-seccomp: no test was traced: out.ndjson is left as it was"] * 2


def test_tests_that_are_all_skipped_are_traced(suite: Suite) -> None:
    suite.write("test_one.py", "import pytest\n@pytest.mark.skip\ndef test_one():\n    pass\n")
    with traced(suite) as run:
        trace = run.trace(status=0)
    assert trace.complete
    assert trace.outcomes == {"test_one.py::test_one": "skipped"}


@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["alone", "xdist"])
def test_a_conftest_that_cannot_be_imported(suite: Suite, options: tuple[str, ...]) -> None:
    suite.write("conftest.py", "import does_not_exist\n")
    suite.write("test_one.py", PASSING)
    output = expect_no_trace(suite, *options, status=4, plugins=("xdist",))
    assert "does_not_exist" in output


def test_a_conftest_that_exits(suite: Suite) -> None:
    suite.write("conftest.py", "import sys\nsys.exit(7)\n")
    suite.write("test_one.py", PASSING)
    expect_no_trace(suite, status=7)


def test_an_option_that_there_is_not(suite: Suite) -> None:
    suite.write("test_one.py", PASSING)
    expect_no_trace(suite, "--no-such-option", status=4)


def test_an_error_in_collection_under_xdist(suite: Suite) -> None:
    """Alone no test runs then; xdist's workers run those that there are."""
    suite.write("test_one.py", PASSING)
    suite.write("test_two.py", "import os\nfor _ in range(50):\n    os.getppid()\nimport does_not_exist\n")
    plain = suite.run("-n2", plugins=["xdist"])
    with traced(suite, "-n2", plugins=["xdist"]) as run:
        trace = run.trace(status=plain.status)
        run.expect_nothing_left()
    assert trace.complete
    assert trace.run["exit_status"] == plain.status
    assert set(trace.outcomes) == {"test_one.py::test_one"}
    assert all(line.counts["getppid"] >= 50 for line in trace.collections)


def test_errors_in_collection_that_do_not_stop_it(suite: Suite) -> None:
    suite.write("test_one.py", PASSING)
    suite.write("test_two.py", "import does_not_exist\n")
    with traced(suite, "--continue-on-collection-errors") as run:
        trace = run.trace(status=1)
        run.expect_nothing_left()
    assert trace.complete
    assert trace.test("test_one").own == {"call": {"getppid": 1}}


@pytest.mark.parametrize(
    "hook",
    [
        "pytest_sessionstart",
        "pytest_collection_modifyitems",
        "pytest_runtestloop",
        "pytest_runtest_protocol",
        "pytest_runtest_makereport",
    ],
)
def test_another_plugin_that_fails(suite: Suite, hook: str) -> None:
    """INTERNALERROR: the exit status is that without us, and what there is of a trace is whole."""
    suite.write("conftest.py", f"def {hook}():\n    raise RuntimeError('broken plugin')\n")
    suite.write("test_one.py", PASSING)
    with traced(suite) as run:
        finished = run.finish(pytest.ExitCode.INTERNAL_ERROR)
        run.expect_nothing_left()
    assert "broken plugin" in finished.output
    if hook != "pytest_runtest_makereport":  # no test yet
        assert list(suite.folder.glob("out*")) == []
        return
    trace = finished.trace()
    assert trace.run["exit_status"] == pytest.ExitCode.INTERNAL_ERROR
    assert [line.outcome for line in trace.tests] == [None]
    cut_short = "the session was broken off by an error in pytest or a plugin"
    assert trace.run["reasons"] == [cut_short, "test_one.py::test_one did not finish"]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("pytest.exit('enough')", "the session was interrupted"),
        ("raise BrokenPipeError", "the session was broken off by an error in pytest or a plugin"),
    ],
)
def test_a_session_that_is_cut_short_between_tests(suite: Suite, end: str, reason: str) -> None:
    """`pytest | head` is one: no call is lost, but the trace is not that of the suite."""
    suite.write("conftest.py", f"import pytest\ndef pytest_runtest_logstart(nodeid):\n    if 'two' in nodeid: {end}\n")
    suite.write("test_one.py", PASSING + "\ndef test_two(): pass\n")
    with traced(suite) as run:
        trace = run.trace()
        run.expect_nothing_left()
    assert not trace.complete
    assert trace.run["lost"] == 0
    assert reason in trace.run["reasons"]
    assert trace.test("test_one").complete
    assert trace.test("test_one").own == {"call": {"getppid": 1}}


def test_another_plugin_that_fails_in_a_worker(suite: Suite) -> None:
    """xdist's status is 3 or 0 then, by chance: the controller may have ended before it hears of the error."""
    suite.write("conftest.py", "def pytest_runtest_makereport():\n    raise RuntimeError('broken plugin')\n")
    suite.write("test_one.py", PASSING)
    with traced(suite, "-n1", plugins=["xdist"]) as run:
        trace = run.trace()
        run.expect_nothing_left()
    assert [(line.outcome, line.complete) for line in trace.tests] == [(None, False)]
    assert not trace.complete


@pytest.mark.parametrize("where", ["import", "test", "fixture", "teardown"])
def test_keyboard_interrupt(suite: Suite, where: str) -> None:
    """Raised, as Ctrl-C does, while a module is imported, in a test, and around it."""
    places = ("test", "fixture", "teardown")
    interrupt = {name: "raise KeyboardInterrupt" if name == where else "pass" for name in places}
    suite.write(
        "test_one.py",
        f"""
        import os, pytest

        {"raise KeyboardInterrupt" if where == "import" else ""}

        @pytest.fixture
        def used():
            {interrupt["fixture"]}
            yield
            {interrupt["teardown"]}

        def test_before():
            os.getppid()

        def test_interrupted(used):
            {interrupt["test"]}
        """,
    )
    with traced(suite) as run:
        finished = run.finish(pytest.ExitCode.INTERRUPTED)
        run.expect_nothing_left()
    if where == "import":
        assert NOT_WRITTEN in finished.stdout
        return
    trace = finished.trace()
    assert trace.run["exit_status"] == pytest.ExitCode.INTERRUPTED
    assert not trace.complete
    reasons = ["the session was interrupted", "test_one.py::test_interrupted did not finish"]
    assert trace.run["reasons"] == reasons
    assert trace.run["lost"] == 0
    assert trace.test("test_before").complete
    assert trace.test("test_before").own == {"call": {"getppid": 1}}
    assert trace.test("test_interrupted").outcome is None
    assert not trace.test("test_interrupted").complete


@pytest.mark.parametrize("status", [0, 3, 42])
def test_pytest_exit(suite: Suite, status: int) -> None:
    suite.write("test_one.py", f"import pytest\ndef test_exits():\n    pytest.exit('enough', returncode={status})\n")
    with traced(suite) as run:
        trace = run.trace(status=status)
        run.expect_nothing_left()
    assert trace.run["exit_status"] == status
    assert not trace.complete
    assert trace.test("test_exits").outcome is None


def test_stepwise_and_last_failed(suite: Suite) -> None:
    """Options that choose tests by what happened before."""
    suite.write("test_one.py", "def test_a():\n    assert False\n\ndef test_b():\n    pass\n")
    for option, expected in (("--sw", {"test_a"}), ("--lf", {"test_a"}), ("--ff", {"test_a", "test_b"})):
        with traced(suite, option) as run:
            trace = run.trace()
            run.expect_nothing_left()
        assert trace.complete
        assert {line.nodeid.partition("::")[2] for line in trace.tests} == expected


def test_a_run_that_nobody_asked_to_trace(suite: Suite) -> None:
    suite.write("test_one.py", PASSING)
    with Run(suite) as run:
        run.finish(0)
        run.expect_nothing_left()
    assert sorted(path.name for path in suite.folder.glob("*.ndjson*")) == []
