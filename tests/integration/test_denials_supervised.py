"""The deny log of what our own sandboxes and policies deny: without privilege, and beside the kernel's log."""

import os

import pytest
from denylog import DenyLog, watched
from ordinary import UID, as_ordinary_user
from traced import Suite

pytestmark = pytest.mark.needs("listener")

SUITE = """
    import os, socket, subprocess, sys
    import pytest

    ASK = "import socket\\ntry: socket.socket()\\nexcept OSError as error: print(error.strerror)"

    def test_unexpected(seccomp_run):
        seccomp_run([sys.executable, "-c", ASK], deny=["@internet"])

    def test_killed(seccomp_run):
        result = seccomp_run(
            [sys.executable, "-c", ASK], deny=["socket"], action="kill_process", expect_denied=["socket"]
        )
        assert result.returncode == -31

    @pytest.mark.seccomp(deny=["@internet"])
    @pytest.mark.seccomp_expect_denied("socket", strict=True)
    def test_policy():
        with pytest.raises(PermissionError):
            socket.socket()

    @pytest.mark.seccomp_expect_denied("socket", strict=True)
    def test_strict(seccomp_run):
        seccomp_run([sys.executable, "-c", ASK], deny=["@internet"])

    def test_watch_does_nothing(seccomp_watch):
        with seccomp_watch(os.getpid()):
            pass
"""


@pytest.mark.needs(*(["mount"] if os.geteuid() == 0 else []))
@pytest.mark.parametrize("workers", ["0", "2"])
def test_as_an_ordinary_user(suite: Suite, workers: str) -> None:
    suite.write("test_boxed.py", SUITE)
    before = as_ordinary_user(suite.folder)
    temporary = suite.folder / "tmp"
    temporary.mkdir()
    if os.geteuid() == 0:
        for path in (suite.folder, *suite.folder.rglob("*")):
            os.chown(path, UID, UID)
    options = ["-n", workers, "--seccomp-deny-log=denied.ndjson", "--seccomp-deny-source=supervised"]
    variables = {"TMPDIR": str(temporary), "HOME": str(temporary)}
    finished = suite.run(
        *options, "-p", "no:cacheprovider", plugins=["xdist"], before=before, environment=variables
    ).expect(1)
    assert "1 failed, 4 passed" in finished.stdout
    assert "seccomp: denials by sandboxes and policies of tests, written to denied.ndjson" in finished.stdout
    assert "seccomp denials: 1 unexpected, 3 expected (supervised)" in finished.stdout
    log = DenyLog.read(suite.folder / "denied.ndjson")
    assert log.complete
    assert log.places == {
        (name, "call", "socket"): 1 for name in ("test_unexpected", "test_killed", "test_policy", "test_strict")
    }
    assert [record["nodeid"] for record in log.records if not record["expected"]] == ["test_boxed.py::test_unexpected"]
    assert {record["source"] for record in log.records} == {"notify"}
    assert list(temporary.glob("pytest-seccomp-*")) == []


@pytest.mark.needs("audit")
def test_a_kill_that_the_kernel_logs_as_well_is_one_denial(suite: Suite) -> None:
    suite.write("test_boxed.py", SUITE)
    _, log = watched(suite, "-k", "killed or policy", status=0)
    assert log.complete
    assert log.places == {("test_killed", "call", "socket"): 1, ("test_policy", "call", "socket"): 1}
    assert all(record["expected"] for record in log.records)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_test_that_removes_what_was_denied(suite: Suite, workers: str) -> None:
    """It may have been anything."""
    suite.write(
        "test_remove.py",
        """
        import shutil

        def test_remove(request):
            (folder,) = request.config.rootpath.glob("tmp/pytest-seccomp-*")
            shutil.rmtree(folder)
        """,
    )
    temporary = suite.folder / "tmp"
    temporary.mkdir()
    options = ["-n", workers, "--seccomp-deny-log=denied.ndjson", "--seccomp-deny-source=supervised"]
    finished = suite.run(*options, plugins=["xdist"], environment={"TMPDIR": str(temporary)}).expect(1)
    assert "1 passed" in finished.stdout
    assert "all that was recorded is gone: somebody has removed " in finished.stdout
