"""Tests under a policy of their own: stopped in whatever they do, in every kind of run, and free afterwards."""

import os

import pytest
from ordinary import UID, as_ordinary_user
from policed import MODES, OFFLINE, passed
from traced import Suite

pytestmark = pytest.mark.needs("listener")


@pytest.mark.parametrize("options", MODES)
@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_network_is_forbidden(suite: Suite, options: list[str], workers: str) -> None:
    suite.write("test_offline.py", OFFLINE)
    finished = suite.run("-rA", "-n", workers, *options, plugins=["xdist"]).expect(0)
    assert len(passed(finished)) + finished.stdout.count("SKIPPED [") == 9
    assert {"test_python", "test_program", "test_the_rest_works", "test_the_next_one_is_free"} <= {*passed(finished)}
    if not options:
        return
    trace = finished.trace()
    assert trace.complete
    calls = {line.nodeid.rpartition("::")[2]: line.phase("call") for line in trace.tests}
    # What was denied was not made
    assert "socket" not in calls["test_python"]
    assert "socket" not in calls["test_program"]
    assert calls["test_the_rest_works"]["socket"] == 2
    assert calls["test_the_next_one_is_free"]["socket"] == 3


@pytest.mark.needs(*(["mount"] if os.geteuid() == 0 else []))
@pytest.mark.parametrize("options", MODES[:2])
def test_as_an_ordinary_user(suite: Suite, options: list[str]) -> None:
    suite.write("test_offline.py", OFFLINE)
    before = as_ordinary_user(suite.folder)
    temporary = suite.folder / "tmp"
    temporary.mkdir()
    if os.geteuid() == 0:
        for path in (suite.folder, *suite.folder.rglob("*")):
            os.chown(path, UID, UID)
    variables = {"TMPDIR": str(temporary), "HOME": str(temporary)}
    finished = suite.run("-rA", *options, "-p", "no:cacheprovider", before=before, environment=variables).expect(0)
    assert len(passed(finished)) + finished.stdout.count("SKIPPED [") == 9


def test_a_suite_without_the_marker_is_under_no_filter(suite: Suite) -> None:
    """Also where a folder or a test has its name."""
    suite.write(
        "seccomp/test_one.py",
        """
        import os, sys

        def test_seccomp():
            assert "pytest_seccomp.plugin.tracing" not in sys.modules
        """,
    )
    suite.run().expect(0)


def test_collecting_alone_starts_nothing(suite: Suite) -> None:
    suite.write("test_offline.py", OFFLINE)
    finished = suite.run("--collect-only", "-q").expect(0)
    assert "9 tests collected" in finished.stdout


def test_where_a_policy_cannot_be_enforced_its_tests_fail(suite: Suite) -> None:
    """Under the listener of another run; the others run."""
    suite.write(
        "inner/test_one.py",
        """
        import pytest

        @pytest.mark.seccomp(deny=["@internet"])
        def test_marked():
            pass

        def test_block(seccomp_trace):
            with seccomp_trace():
                pass

        def test_other():
            pass
        """,
    )
    suite.write(
        "test_outer.py",
        """
        import subprocess, sys

        def test_outer():
            command = [sys.executable, "-m", "pytest", "-p", "seccomp", "-rA", "inner"]
            inner = subprocess.run(command, capture_output=True, text=True)
            print(inner.stdout)
            assert inner.returncode == 1
        """,
    )
    finished = suite.run("--seccomp-trace=out.ndjson", "--seccomp-backend=notify", "-rA", "test_outer.py").expect(0)
    assert (
        '@pytest.mark.seccomp(deny=["@internet"]) of inner/test_one.py::test_marked: policies cannot be enforced here: '
        "this process is under another seccomp listener already" in finished.stdout
    )
    assert ": run it outside of that; a traced pytest needs no listener with --seccomp-backend=ebpf" in finished.stdout
    assert "--no-seccomp-trace" not in finished.stdout
    assert "FAILED inner/test_one.py::test_block - pytest_seccomp.errors.RecorderError: " in finished.stdout
    assert "PASSED inner/test_one.py::test_other" in finished.stdout


@pytest.mark.parametrize("options", MODES)
def test_what_our_own_messages_and_markers_need_can_be_denied(suite: Suite, options: list[str]) -> None:
    suite.write(
        "test_one.py",
        """
        import ctypes, socket
        import pytest

        @pytest.mark.seccomp_expect_denied("sendmsg", "recvmsg", "prctl", strict=True)
        @pytest.mark.seccomp(deny=["sendmsg", "recvmsg", "prctl"], fixtures=True)
        def test_one(seccomp_trace):
            with seccomp_trace() as trace:
                one, two = socket.socketpair()
                for call in (lambda: one.sendmsg([b"x"]), lambda: two.recvmsg(1)):
                    with pytest.raises(PermissionError):
                        call()
                assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == -1
                one.close(), two.close()
            assert not {"sendmsg", "recvmsg", "prctl"} & set(trace)
            assert trace["socketpair"] == 1

        def test_after():
            one, two = socket.socketpair()
            with one, two:
                one.sendmsg([b"x"])
                assert two.recvmsg(1)[0] == b"x"
        """,
    )
    finished = suite.run(*options).expect(0)
    if options:
        assert finished.trace().complete
