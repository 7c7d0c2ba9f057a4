"""The deny log in place of a session that was killed."""

import os
import subprocess
from pathlib import Path

import pytest
from denials import denial

from pytest_seccomp.recorder import denial_salvage
from pytest_seccomp.recorder.spools import SpoolDirectory
from pytest_seccomp.trace.deny_log import DenyLog, Incomplete, read

END = '{"kind":"end","complete":false,"reasons":["pytest (process 1) ended before its session did"]}\n'


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SpoolDirectory:
    """A directory with the spools of two workers."""
    monkeypatch.setattr("tempfile.tempdir", os.fspath(tmp_path))
    directory = SpoolDirectory.create()
    for number, worker in enumerate(["gw0", "gw1"]):
        text = denial(pid=number).format_spooled(worker) + END
        Path(directory.new_spool(worker)).write_text(text, encoding="ascii")
    return directory


def test_what_the_watchers_wrote_becomes_a_log_that_is_incomplete(directory: SpoolDirectory, tmp_path: Path) -> None:
    denial_salvage.describe(directory, DenyLog.check(tmp_path / "denied.ndjson"))
    subprocess.run(denial_salvage.command(directory), check=True, cwd="/")
    assert list(read(tmp_path / "denied.ndjson")) == [
        Incomplete(
            (
                "gw0: pytest (process 1) ended before its session did",
                "gw1: pytest (process 1) ended before its session did",
                "the session was killed before it had written its deny log",
            )
        ),
        denial(pid=0),
        denial(pid=1),
    ]
    assert not directory.path.exists()


def test_a_directory_that_is_described_nowhere_is_removed(directory: SpoolDirectory) -> None:
    """That of a worker on another host."""
    denial_salvage.main(str(directory.path))
    assert not directory.path.exists()


def test_a_log_that_is_written_is_not_written_again(directory: SpoolDirectory, tmp_path: Path) -> None:
    denial_salvage.describe(directory, DenyLog.check(tmp_path / "denied.ndjson"))
    denial_salvage.withdraw(directory)
    denial_salvage.withdraw(directory)
    denial_salvage.main(str(directory.path))
    assert not (tmp_path / "denied.ndjson").exists()
    assert not directory.path.exists()


def test_a_path_that_has_become_something_else_is_left_alone(directory: SpoolDirectory, tmp_path: Path) -> None:
    """Nobody is there to be told, and what was recorded is kept."""
    path = tmp_path / "denied.ndjson"
    denial_salvage.describe(directory, DenyLog.check(path))
    path.write_text("mine\n")
    result = subprocess.run(denial_salvage.command(directory), capture_output=True, text=True, check=False, cwd="/")
    assert "there is a file that is no deny log" in result.stderr
    assert path.read_text() == "mine\n"
    assert len(directory.spools()) == 2
    assert "there is a file that is no deny log" in (directory.path / "not-written.txt").read_text()
