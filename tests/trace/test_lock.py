"""The lock: one holder at a time, no file left behind, and both at once."""

import fcntl
import logging
import os
import re
import sys
from pathlib import Path
from subprocess import PIPE, Popen, run
from typing import Any

import pytest

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.lock import locked

INCREMENT = """
import sys
from pathlib import Path
from pytest_seccomp.trace.lock import locked

path, counter = Path(sys.argv[1]), Path(sys.argv[2])
sys.stdin.read()  # until all are there
for _ in range(int(sys.argv[3])):
    with locked(path):
        counter.write_text(str(int(counter.read_text()) + 1))
"""


def is_locked(path: Path) -> bool:
    """Whether another descriptor holds the lock on the file of that name."""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_nothing_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """pytest would show it in the session's live log. What the code under test logs by that name is its own."""
    caplog.set_level(logging.DEBUG)
    with locked(tmp_path / "out.lock"):
        assert caplog.records == []
        logging.getLogger("filelock").debug("somebody else's")
    assert caplog.messages == ["somebody else's"]


def test_the_lock_is_held_in_the_block_and_its_file_gone_after_it(tmp_path: Path) -> None:
    path = tmp_path / "out.lock"
    with locked(path):
        assert is_locked(path)
    assert list(tmp_path.iterdir()) == []


def test_the_file_goes_also_when_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "out.lock"):
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == []


def test_a_file_left_by_a_process_that_died_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "out.lock"
    path.touch()
    with locked(path):
        assert is_locked(path)
    assert list(tmp_path.iterdir()) == []


def test_many_processes_never_hold_it_together_although_each_removes_its_file(tmp_path: Path) -> None:
    path, counter = tmp_path / "out.lock", tmp_path / "counter"
    counter.write_text("0")
    command = [sys.executable, "-c", INCREMENT, str(path), str(counter), "25"]
    reading, writing = os.pipe()
    with open(reading) as start:
        processes = [Popen(command, stdin=start, stderr=PIPE, text=True) for _ in range(8)]
    os.close(writing)
    errors = [process.communicate()[1] for process in processes]
    assert ([process.returncode for process in processes], errors) == ([0] * 8, [""] * 8)
    assert counter.read_text() == "200"
    assert list(tmp_path.iterdir()) == [counter]


def test_a_file_that_lost_its_name_before_it_was_locked_is_not_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a waiting process sees when the holder removes the file and a third one makes a new one. The old file keeps
    a link under another name, as an open file does on NFS, so that its link count tells nothing."""
    path = tmp_path / "out.lock"
    flock = fcntl.flock
    renamed: list[Path] = []

    def rename_first(descriptor: Any, operation: int) -> None:
        if not renamed:
            renamed.append(path.rename(tmp_path / ".nfs0001"))
            path.touch()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", rename_first)
    with locked(path):
        monkeypatch.undo()
        assert is_locked(path)
        assert not is_locked(renamed[0])


def test_the_file_is_removed_before_the_lock_is_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Afterwards it would be the file of whoever has the lock then."""
    path = tmp_path / "out.lock"
    flock = fcntl.flock
    there_at_release: list[bool] = []

    def look(descriptor: Any, operation: int) -> None:
        if operation == fcntl.LOCK_UN:
            there_at_release.append(path.exists())
        flock(descriptor, operation)

    with locked(path):
        monkeypatch.setattr(fcntl, "flock", look)
    assert there_at_release == [False]


def test_a_lock_that_stays_taken_is_an_error_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "out.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(TraceError, match=re.escape(f"{path} has been locked for 0 s: ")), locked(path, patience=0):
            pytest.fail("nobody else may have it")
    assert path.exists()


def test_a_lock_that_cannot_be_made_is_an_error_that_says_why(tmp_path: Path) -> None:
    path = tmp_path / "out.lock"
    path.symlink_to("elsewhere")
    with pytest.raises(TraceError, match=re.escape(f"cannot lock {path}: ")), locked(path):
        pytest.fail("a link is not followed")
    assert path.is_symlink()


def test_another_module_by_the_name_of_what_is_imported_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "filelock.py").write_text("class FileLock: ...")
    code = """
import sys
from pathlib import Path
from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.lock import locked

sys.path.insert(0, sys.argv[1])
try:
    with locked(Path("out.lock")):
        raise AssertionError
except TraceError as error:
    print(error)
"""
    done = run([sys.executable, "-c", code, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert re.fullmatch("cannot import filelock: AttributeError: .*: let no other module have its name\n", done.stdout)
    assert not (tmp_path / "out.lock").exists()
