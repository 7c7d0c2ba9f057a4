"""When a policy begins and ends: fixtures, reruns, children, and what is left behind."""

import re

import pytest
from policed import MODES, passed, told
from running import Run, until
from traced import Suite

pytestmark = pytest.mark.needs("listener")


FIXTURES = """
    import socket
    import pytest

    seen = {}

    def free():
        try:
            socket.socket().close()
            return True
        except PermissionError:
            return False

    @pytest.fixture(scope="module")
    def wider():
        seen["wider"] = free()
        yield
        assert free()

    @pytest.fixture
    def own():
        seen["setup"] = free()
        yield
        seen["teardown"] = free()

    @pytest.mark.seccomp_expect_denied("socket")
    @pytest.mark.seccomp(deny=["@internet"])
    def test_call_alone(own, wider):
        assert not free()

    def test_before():
        assert seen == {"setup": True, "wider": True, "teardown": True}
        seen.clear()

    @pytest.fixture(scope="class")
    def of_the_class():
        seen["wider"] = free()
        yield
        assert free()

    @pytest.mark.seccomp_expect_denied("socket")
    @pytest.mark.seccomp(deny=["@internet"], fixtures=True)
    class TestClass:
        def test_with_fixtures(self, own, of_the_class):
            assert not free()

    def test_after():
        assert seen == {"setup": False, "wider": True, "teardown": False}
"""


@pytest.mark.parametrize("options", MODES)
def test_fixtures_on_request_and_never_those_of_wider_scope(suite: Suite, options: list[str]) -> None:
    suite.write("test_fixtures.py", FIXTURES)
    suite.run(*options).expect(0)


@pytest.mark.parametrize("options", MODES[:2])
def test_a_marker_that_a_fixture_adds(suite: Suite, options: list[str]) -> None:
    """It holds where the kernel asks for its calls anyway; where not, the test fails rather than pass for nothing."""
    suite.write(
        "test_one.py",
        """
        import socket
        import pytest

        @pytest.fixture
        def offline(request):
            request.node.add_marker(pytest.mark.seccomp(deny=["@internet"]))
            request.node.add_marker(pytest.mark.seccomp_expect_denied("socket"))

        @pytest.fixture
        def without_files(request):
            request.node.add_marker(pytest.mark.seccomp(deny=["chroot"]))

        def test_holds(offline):
            with pytest.raises(PermissionError):
                socket.socket()

        def test_another(without_files):
            pass

        @pytest.mark.seccomp(deny=["@internet"])
        def test_marked():
            pass
        """,
    )
    finished = suite.run("-rA", *options).expect(0 if options else 1)
    assert "test_holds" in passed(finished)
    assert ("test_another" in passed(finished)) is bool(options)
    if not options:
        marker = '@pytest.mark.seccomp(deny=["chroot"]) of test_one.py::test_another'
        assert f"{marker}: this was added after the tests had been collected" in finished.stdout


def test_a_marker_that_a_fixture_adds_where_no_test_has_it(suite: Suite) -> None:
    suite.write(
        "test_one.py",
        """
        import pytest

        @pytest.fixture
        def offline(request):
            request.node.add_marker(pytest.mark.seccomp(deny=["@internet"]))

        def test_one(offline):
            pass
        """,
    )
    finished = suite.run().expect(1)
    assert "the marker seccomp was added after the tests had been collected" in finished.stdout


@pytest.mark.parametrize("options", MODES)
def test_reruns(suite: Suite, options: list[str]) -> None:
    """Each run of a test is under the policy, and each has its own denials."""
    suite.write(
        "test_one.py",
        """
        import socket
        import pytest

        runs = []

        @pytest.mark.seccomp(deny=["@internet"])
        def test_one():
            runs.append(1)
            if len(runs) < 3:
                with pytest.raises(PermissionError):
                    socket.socket()

        def test_after():
            socket.socket().close()
            assert len(runs) == 3
        """,
    )
    finished = suite.run("--reruns=3", *options, plugins=["rerunfailures"]).expect(0)
    assert "2 passed, 2 rerun" in finished.stdout


@pytest.mark.parametrize("options", MODES)
def test_a_child_that_comes_back_into_pytest(suite: Suite, options: list[str]) -> None:
    suite.write(
        "test_one.py",
        """
        import os, socket, sys
        import pytest

        @pytest.mark.seccomp_expect_denied("socket")
        @pytest.mark.seccomp(deny=["@internet"])
        def test_one():
            child = os.fork()
            if not child:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                sys.exit(3)
            os.waitpid(child, 0)
            with pytest.raises(PermissionError):
                socket.socket()

        def test_after():
            socket.socket().close()

        @pytest.mark.seccomp(deny=["@internet"])
        def test_last():
            with pytest.raises(PermissionError):
                socket.socket()
        """,
    )
    finished = suite.run("-rA", "-s", *options).expect(1)
    assert passed(finished) == ["test_one", "test_after"]
    assert told(finished, "test_last").startswith("seccomp denied socket to ")


@pytest.mark.parametrize("options", MODES[:2])
def test_pytest_timeout(suite: Suite, options: list[str]) -> None:
    suite.write(
        "test_one.py",
        """
        import itertools, signal, socket, time
        import pytest

        @pytest.mark.timeout(600)
        @pytest.mark.seccomp(deny=["@internet"])
        def test_hangs():
            for denied in itertools.count(1):
                with pytest.raises(PermissionError):
                    socket.socket()
                if denied == 2:
                    signal.setitimer(signal.ITIMER_REAL, 0.1)  # the plugin's own, which would ring too late for us
                time.sleep(0.01)

        def test_after():
            socket.socket().close()
        """,
    )
    finished = suite.run("-rA", "--timeout-method=signal", *options, plugins=["timeout"]).expect(1)
    assert passed(finished) == ["test_after"]
    assert re.search(r"socket, \d+ times: errno:EPERM, to ", finished.stdout)


@pytest.mark.parametrize("options", MODES)
def test_a_daemon_that_is_left_behind_is_free_when_the_test_has_ended(suite: Suite, options: list[str]) -> None:
    suite.write(
        "test_one.py",
        """
        import os, socket, subprocess, sys, time
        import pytest

        DAEMON = '''
        import os, socket, sys, time
        os.setsid()
        try:
            socket.socket()
        except PermissionError:
            os.write(1, b"denied ")
        sys.stdin.read()
        socket.socket()
        os.write(1, b"free")
        '''

        @pytest.mark.seccomp_expect_denied("socket")
        @pytest.mark.seccomp(deny=["@internet"])
        def test_leaves_it(request):
            daemon = subprocess.Popen([sys.executable, "-c", DAEMON.replace("\\n        ", "\\n")],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert daemon.stdout.read(7) == b"denied "
            request.config.daemon = daemon

        def test_after(request):
            assert request.config.daemon.communicate()[0] == b"free"
        """,
    )
    suite.run(*options).expect(0)


@pytest.mark.parametrize("options", MODES)
def test_a_recorder_that_is_killed_while_it_decides(suite: Suite, options: list[str]) -> None:
    """Nothing hangs, the test does not pass, and the session stops."""
    suite.write(
        "test_one.py",
        """
        import pathlib, socket, time
        import pytest

        @pytest.mark.seccomp(deny=["@internet"])
        def test_one():
            with pytest.raises(PermissionError):
                socket.socket()
            pathlib.Path("waits").touch()
            while not pathlib.Path("go").exists():
                time.sleep(0.01)
            socket.socket().close()

        def test_after():
            pass
        """,
    )
    with Run(suite, "-rA", *options) as run:
        until("the test", lambda: (suite.folder / "waits").exists())
        for process in run.recorders():
            process.kill()
        (suite.folder / "go").touch()
        finished = run.finish()
    assert finished.status != 0
    assert "the policy of this test was not enforced to its end: the recorder died" in finished.stdout
    assert "PASSED" not in finished.stdout
