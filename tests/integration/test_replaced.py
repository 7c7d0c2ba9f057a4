"""Tests and plugins that put something of their own in the place of what the plugin uses."""

import os
import stat
from textwrap import dedent

import pytest
from running import Run, traced
from traced import Suite

pytestmark = pytest.mark.needs("listener")


def test_tests_that_change_what_the_plugin_uses(suite: Suite) -> None:
    """Functions of the standard library, replaced for the time of a test or of a module, and the umask."""
    suite.write(
        "test_replace.py",
        """
        import json, os, pytest

        def broken(*_, **__):
            raise ZeroDivisionError

        @pytest.fixture(scope="module")
        def module():
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(json, "dumps", broken)
                patch.setattr(json, "loads", broken)
                patch.setattr(os, "uname", broken)
                yield

        def test_for_itself(monkeypatch):
            monkeypatch.setattr(json, "dumps", broken)

        def test_for_the_module(module, seccomp_popen, monkeypatch):
            program = seccomp_popen(["/bin/sh", "-c", "exit 7"], deny=["@internet"])
            monkeypatch.setattr(os, "close", broken)
            assert program.wait() == 7

        @pytest.mark.seccomp(deny=["@internet"])
        def test_umask(module):
            os.umask(0o777)
        """,
    )
    umask = os.umask(0o027)
    try:
        with traced(suite, "--seccomp-deny-log=denied.ndjson", "--seccomp-deny-source=supervised") as run:
            trace = run.trace(status=0)
            run.expect_nothing_left()
    finally:
        os.umask(umask)
    assert trace.complete
    assert len(trace.tests) == 3
    written = [suite.folder / name for name in ("out.ndjson", "out.tests.ndjson", "denied.ndjson")]
    assert [stat.S_IMODE(path.stat().st_mode) for path in written] == [0o640] * 3


SOCKETS = {
    "a default timeout": "socket.setdefaulttimeout(0.001)",
    "forbidden": """
        class Forbidden(socket.socket):
            def __new__(cls, *_, **__):
                raise ZeroDivisionError

        socket.socket = Forbidden
    """,
    "that never wait": """
        class NeverWaits(socket.socket):
            def __init__(self, *arguments, **named):
                super().__init__(*arguments, **named)
                self.setblocking(False)

        socket.socket = NeverWaits
    """,
}
"""What conftests, pytest-socket and gevent do with the sockets of Python."""


@pytest.mark.parametrize("sockets", SOCKETS.values(), ids=SOCKETS)
@pytest.mark.parametrize("is_traced", [False, True], ids=["no trace", "traced"])
def test_sockets_that_are_not_those_of_python(suite: Suite, sockets: str, is_traced: bool) -> None:
    """Ours, which are made when a test first needs them, are."""
    suite.write("pytest.ini", "[pytest]\nmarkers = seccomp: a policy\n")
    suite.write("conftest.py", f"import socket\n{dedent(sockets)}")
    suite.write(
        "test_sockets.py",
        """
        import os, time
        import pytest

        def test_in_a_sandbox(seccomp_run):
            for _ in range(2):
                result = seccomp_run(["/bin/sh", "-c", "sleep 0.1; exit 7"], deny=["@internet"])
                assert result.returncode == 7 and result.complete

        @pytest.mark.seccomp(deny=["getpgid"])
        @pytest.mark.seccomp_expect_denied("getpgid")
        def test_under_a_policy(seccomp_trace):
            with seccomp_trace() as trace:
                os.getppid()
                with pytest.raises(PermissionError):
                    os.getpgid(0)
            assert trace["getppid"] == 1
        """,
    )
    options = ["--seccomp-deny-log=denied.ndjson", "--seccomp-deny-source=supervised"]
    if is_traced:
        options.append("--seccomp-trace=out.ndjson")
    with Run(suite, *options) as run:
        finished = run.finish(0)
        run.expect_nothing_left()
    assert not is_traced or finished.trace().complete


def test_a_popen_that_is_not_that_of_python(suite: Suite) -> None:
    """As gevent's. One that is made of Python's is."""
    suite.write("conftest.py", "import subprocess\nclass Popen: pass\nsubprocess.Popen = Popen\n")
    suite.write("test_run.py", "def test_run(seccomp_run): assert seccomp_run(['/bin/true']).returncode == 0\n")
    refused = suite.run().expect(pytest.ExitCode.TESTS_FAILED)
    assert "SandboxError: subprocess.Popen is not Python's, but that of conftest: " in refused.stdout
    suite.write("conftest.py", "import subprocess\nclass Popen(subprocess.Popen): pass\nsubprocess.Popen = Popen\n")
    suite.run().expect(0)


def test_tests_that_leave_behind_what_the_plugin_uses(suite: Suite) -> None:
    """Where modules are found, a module by the name of one that is imported after the last test, the process id."""
    suite.write(
        "test_leave.py",
        """
        import os, sys, types

        def test_leave():
            sys.path = []
            sys.meta_path.clear()
            sys.modules["filelock"] = types.ModuleType("filelock")
            os.getpid = lambda: 42
            os.getppid()
        """,
    )
    suite.write(
        "conftest.py",
        """
        import sys

        def pytest_unconfigure():
            assert (sys.path, sys.meta_path) == ([], [])
            assert not hasattr(sys.modules["filelock"], "FileLock")
        """,
    )
    with traced(suite, "--seccomp-deny-log=denied.ndjson", "--seccomp-deny-source=supervised") as run:
        trace = run.trace(status=0)
        run.expect_nothing_left()
    assert trace.complete
    assert trace.test("test_leave").own["call"]["getppid"] == 1
    assert (suite.folder / "denied.ndjson").exists()
