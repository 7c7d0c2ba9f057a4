"""Tests and plugins that do what nobody should: the trace says what it lacks, and claims nothing else."""

import pytest
from running import traced, until
from traced import Suite, without_futex

pytestmark = pytest.mark.needs("listener")


def test_a_forked_child_that_runs_on_as_pytest(suite: Suite) -> None:
    """sys.exit() in a child is an exception that brings it back into pytest, where it ends the session once more."""
    suite.write(
        "test_fork.py",
        """
        import os, sys

        def test_forks():
            if os.fork() == 0:
                sys.exit(0)
            os.wait()
            for _ in range(100):
                os.getppid()

        def test_after():
            for _ in range(200):
                os.getppid()
        """,
    )
    with traced(suite) as run:
        trace = run.trace(status=0)
        run.expect_nothing_left()
    assert trace.complete
    assert trace.outcomes == {"test_fork.py::test_forks": "passed", "test_fork.py::test_after": "passed"}
    assert trace.test("test_after").own == {"call": {"getppid": 200}}
    # The child's own pytest runs test_after too: what it makes while its parent waits in test_forks counts for that
    assert trace.test("test_forks").phase("call")["getppid"] == 300


def test_a_test_that_removes_the_recorders_files(suite: Suite) -> None:
    suite.write(
        "test_remove.py",
        """
        import pathlib, shutil, tempfile

        def test_remove():
            (folder,) = pathlib.Path(tempfile.gettempdir()).glob("pytest-seccomp-*")
            shutil.rmtree(folder)
        """,
    )
    with traced(suite) as run:
        finished = run.finish(0)
        run.expect_nothing_left()
    assert "INCOMPLETE" in finished.stdout
    trace = finished.trace()
    assert not trace.complete
    assert trace.run["lost"] is None
    (reason,) = trace.run["reasons"]
    assert reason.startswith("all that was recorded is gone: somebody has removed ")


def test_a_test_that_closes_descriptors_it_did_not_open(suite: Suite) -> None:
    """Markers need no descriptor, messages do."""
    suite.write(
        "test_close.py",
        """
        import os

        def test_before():
            os.getppid()

        def test_close():
            os.closerange(20, 4096)

        def test_after():
            os.getppid()
        """,
    )
    with traced(suite) as run:
        finished = run.finish(pytest.ExitCode.INTERRUPTED)
        run.expect_nothing_left()
    assert "pytest-seccomp: after test_close.py::test_close: a test has closed descriptors" in finished.stdout
    trace = finished.trace()
    assert not trace.complete
    assert "test_close.py::test_after" not in trace.outcomes
    assert trace.test("test_before").own == {"call": {"getppid": 1}}
    closed, unfinished = trace.run["reasons"]
    assert closed.startswith("a test has closed descriptors that it did not open, the recorder's among them: ")
    assert unfinished == "test_close.py::test_close did not finish"


@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["alone", "xdist"])
def test_a_plugin_that_fails_at_the_end_of_the_session(suite: Suite, options: tuple[str, ...]) -> None:
    suite.write("conftest.py", "def pytest_sessionfinish():\n    raise RuntimeError('broken plugin')\n")
    suite.write("test_one.py", "import os\ndef test_one():\n    os.getppid()\n")
    plain = suite.run(*options, plugins=["xdist"])
    with traced(suite, *options, plugins=["xdist"]) as run:
        trace = run.trace(status=plain.status)
        run.expect_nothing_left()
    assert trace.complete
    assert without_futex(trace.test("test_one").own) == {"call": {"getppid": 1}}


def test_a_second_ctrl_c_while_the_trace_is_written(suite: Suite) -> None:
    """The session is broken off there; who would merge in place of a killed one does."""
    suite.write("test_one.py", "import os\ndef test_one():\n    os.getppid()\n")
    suite.write(
        "conftest.py",
        """
        import pytest_seccomp.plugin.owner as owner

        def interrupted(*_, **__):
            raise KeyboardInterrupt

        owner.write_trace = interrupted
        """,
    )
    with traced(suite) as run:
        run.finish()
        trace = run.salvaged()
    assert not trace.complete
    assert trace.test("test_one").own == {"call": {"getppid": 1}}


def test_started_with_sigchld_ignored(suite: Suite) -> None:
    """As from a parent that wants no zombies: the setting is inherited through execve."""
    suite.write("test_one.py", "import os\ndef test_one():\n    os.getppid()\n")
    program = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    with traced(suite, before=[suite.command([])[0], "-c", program]) as run:
        trace = run.trace(status=0)
        run.expect_nothing_left()
    assert trace.complete
    assert trace.test("test_one").own == {"call": {"getppid": 1}}


@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["alone", "xdist"])
def test_a_plugin_that_runs_each_test_in_a_child(suite: Suite, options: tuple[str, ...]) -> None:
    """As pytest-forked does: that child speaks for its parent, since pytest has forked it and not a test."""
    suite.write(
        "conftest.py",
        """
        import os, pickle

        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item):
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            read, write = os.pipe()
            begun, begin = os.pipe()
            if os.fork() == 0:
                os.read(begun, 1)  # what the parent calls on its way to its wait would count for the child's test
                reports = runtestprotocol(item, log=False)
                data = [item.config.hook.pytest_report_to_serializable(config=item.config, report=r) for r in reports]
                os.write(write, pickle.dumps(data))
                os._exit(0)
            os.write(begin, b"1")
            os.wait()
            for data in pickle.loads(os.read(read, 65536)):
                report = item.config.hook.pytest_report_from_serializable(config=item.config, data=data)
                item.ihook.pytest_runtest_logreport(report=report)
            for descriptor in (read, write, begun, begin):
                os.close(descriptor)
            return True
        """,
    )
    suite.write(
        "test_in_a_child.py",
        """
        import os

        def test_passes():
            for _ in range(100):
                os.getppid()

        def test_fails():
            for _ in range(200):
                os.getppid()
            assert False
        """,
    )
    with traced(suite, *options, plugins=["xdist"]) as run:
        trace = run.trace(status=pytest.ExitCode.TESTS_FAILED)
        run.expect_nothing_left()
    assert trace.complete
    passes, fails = trace.test("test_passes"), trace.test("test_fails")
    assert (passes.outcome, fails.outcome) == ("passed", "failed")
    # The parent's waiting counts for the child's test where the child has made its marker call first
    own = without_futex(passes.own)
    calls = {(phase, name): count for phase, found in own.items() for name, count in found.items() if name != "wait4"}
    assert calls == {("call", "getppid"): 100}
    assert fails.phase("call")["getppid"] == 200


@pytest.mark.parametrize("option", ["--workers=2", "--tests-per-worker=auto", ""], ids=["processes", "threads", "ini"])
def test_tests_that_run_at_once(suite: Suite, option: str) -> None:
    """As with pytest-parallel: nobody would know whose a call is."""
    suite.write(
        "parallel.py",
        """
        def pytest_addoption(parser):
            for name in ("workers", "tests_per_worker"):
                parser.addoption("--" + name.replace("_", "-"), dest=name)
                parser.addini(name, "how many")
        """,
    )
    suite.write("test_one.py", "import pytest\n@pytest.mark.seccomp(deny=['getpgid'])\ndef test_one(): pass\n")
    suite.write("pytest.ini", "[pytest]\n" if option else "[pytest]\ntests_per_worker = 2\n")
    options, plugins = [option] if option else [], ["parallel"]
    said = "pytest-parallel runs several tests at once, and nobody knows whose a call is: run them with pytest-xdist"
    for asked in ("--seccomp-trace=out.ndjson", "--seccomp-deny-log=denied.ndjson"):
        refused = suite.run(asked, *options, plugins=plugins).expect(pytest.ExitCode.USAGE_ERROR)
        assert f"pytest-seccomp: {said}" in refused.stderr
    assert said in suite.run(*options, plugins=plugins).expect(pytest.ExitCode.TESTS_FAILED).stdout
    suite.run("--no-seccomp-trace", "--deselect=test_one.py::test_one", *options, plugins=plugins).expect(
        pytest.ExitCode.NO_TESTS_COLLECTED
    )
    suite.write("pytest.ini", "[pytest]\n")
    assert suite.trace(plugins=plugins).complete


def test_a_test_that_lowers_the_limit_of_open_files(suite: Suite) -> None:
    """RLIMIT_NOFILE holds for what comes after it, too, but anybody may raise it again as far as the hard one."""
    suite.write(
        "test_limit.py",
        """
        import os, resource

        def test_limit():
            os.getppid()
            resource.setrlimit(resource.RLIMIT_NOFILE, (5, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        """,
    )
    suite.write(
        "conftest.py",
        """
        import resource

        def pytest_unconfigure():
            with open(2, "w", closefd=False) as stderr:
                print("left:", resource.getrlimit(resource.RLIMIT_NOFILE)[0], file=stderr)
        """,
    )
    options = ["--seccomp-deny-log=denied.ndjson", "--seccomp-deny-source=supervised", "-p", "no:cacheprovider"]
    with traced(suite, *options) as run:
        finished = run.finish(0)
        run.expect_nothing_left()
    trace = finished.trace()
    assert trace.complete
    assert trace.test("test_limit").own["call"]["getppid"] == 1
    assert (suite.folder / "denied.ndjson").read_bytes() == b""
    assert "left: 5" in finished.stderr


@pytest.mark.parametrize("limit", range(15, 21))
def test_a_test_that_leaves_a_few_files_to_open(suite: Suite, limit: int) -> None:
    """For good, by the hard limit. Whichever file is the first that cannot be opened: what was recorded is in the
    trace, or kept."""
    suite.write(
        "test_limit.py",
        f"""
        import os, resource

        def test_limit():
            os.getppid()
            resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))
        """,
    )
    with traced(suite, "-p", "no:cacheprovider") as run:
        finished = run.finish()
        if finished.status == 0:
            trace = finished.trace()
            assert trace.complete
            assert trace.test("test_limit").own["call"]["getppid"] == 1
            run.expect_nothing_left()
        else:
            assert "What was recorded is kept. This makes a trace of it:" in finished.stdout
            (kept,) = run.spool_directories()
            assert f"pytest-seccomp merge {kept} -o " in finished.stdout
            assert not (suite.folder / "out.ndjson").exists()


def test_a_test_that_leaves_no_file_to_open(suite: Suite) -> None:
    """Nor the right to raise the limit: an error with its remedy, and what was recorded is kept."""
    suite.write(
        "test_limit.py",
        """
        import resource

        def test_limit():
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
        """,
    )
    said = "cannot read what was recorded: Too many open files (EMFILE): let no test leave a low limit of open files"
    profile = suite.folder / "profile.json"
    profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    options = ["--seccomp-deny-log=denied.ndjson", "--seccomp-deny-source=supervised", f"--seccomp-profile={profile}"]
    options += ["-p", "no:cacheprovider"]  # which older versions of pytest let fail
    with traced(suite, *options) as run:
        finished = run.finish(pytest.ExitCode.TESTS_FAILED)
        until("only the trace's directory is left", lambda: len(run.spool_directories()) == 1)
    assert "1 passed" in finished.stdout
    assert finished.stdout.count(said) == 3
    assert finished.stdout.count("NOT WRITTEN") == 2
    assert "NOT JUDGED" in finished.stdout
