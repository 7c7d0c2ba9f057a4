"""The package inside of a zip file on sys.path, where no file of it has a path of its own."""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from running import traced
from traced import Suite

import pytest_seccomp


@pytest.fixture
def zipped(tmp_path: Path) -> dict[str, str]:
    """The environment in which it is found there first."""
    package = Path(pytest_seccomp.__file__).parent
    archive = tmp_path / "packages.zip"
    with ZipFile(archive, "w") as file:
        for path in package.rglob("*"):
            if "__pycache__" not in path.parts:
                file.write(path, path.relative_to(package.parent))
    return {"PYTHONPATH": str(archive), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.mark.needs("listener")
def test_a_suite_is_traced_and_under_policies(suite: Suite, zipped: dict[str, str]) -> None:
    suite.write(
        "test_zipped.py",
        """
        import os, socket
        import pytest
        import pytest_seccomp

        def test_it_is_zipped():
            assert ".zip" in pytest_seccomp.__file__
            os.getppid()

        @pytest.mark.seccomp(deny=["@internet"])
        @pytest.mark.seccomp_expect_denied("socket")
        def test_policy():
            with pytest.raises(PermissionError):
                socket.socket()

        def test_sandbox(seccomp_run):
            assert seccomp_run(["true"]).syscalls["execve"] == 1
        """,
    )
    with traced(suite, environment=zipped) as run:
        trace = run.trace(status=0)
        run.expect_nothing_left()
    assert trace.complete
    assert trace.test("test_it_is_zipped").own == {"call": {"getppid": 1}}


@pytest.mark.parametrize(
    ("arguments", "text"), [("groups", "@internet"), ("generate calls.ndjson --format=names --base=runc", "setgroups")]
)
def test_commands_find_their_tables(tmp_path: Path, zipped: dict[str, str], arguments: str, text: str) -> None:
    record = '{"syscall": 0, "name": "read", "count": 1, "arch": "x86_64", "tests": 1, "collection": 0}\n'
    (tmp_path / "calls.ndjson").write_text(record)
    command = [sys.executable, "-m", "pytest_seccomp", *arguments.split()]
    result = subprocess.run(command, cwd=tmp_path, env=zipped, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert text in result.stdout.split()
