"""Whose call it is, as /proc shows it."""

import os
import threading
from pathlib import Path

import pytest

from pytest_seccomp.linux import caller as module
from pytest_seccomp.linux.caller import caller


def test_of_a_thread_it_is_the_process_and_the_name_of_the_thread() -> None:
    found = []

    def look() -> None:
        thread = threading.get_native_id()
        Path(f"/proc/self/task/{thread}/comm").write_text("a thread")
        found.append((thread, caller(thread)))

    worker = threading.Thread(target=look)
    worker.start()
    worker.join()
    ((thread, seen),) = found
    assert thread != os.getpid()
    assert seen == (os.getpid(), b"a thread", os.readlink(b"/proc/self/exe"))


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for thread 7 in a /proc that is not the kernel's."""
    monkeypatch.setattr(module, "ROOT", str(tmp_path))
    folder = tmp_path / "7"
    folder.mkdir()
    return folder


def test_a_name_may_be_any_bytes(made_up: Path) -> None:
    (made_up / "status").write_bytes(b"Name:\tTgid:\\t9\nUmask:\t0022\nTgid:\t5\nPid:\t7\n")
    (made_up / "comm").write_bytes(b"\xff x\n\n")
    (made_up / "exe").symlink_to("/usr/bin/a b (deleted)")
    assert caller(7) == (5, b"\xff x\n", b"/usr/bin/a b (deleted)")


def test_an_executable_that_may_not_be_looked_at(made_up: Path) -> None:
    (made_up / "status").write_bytes(b"Tgid:\t5\n")
    (made_up / "comm").write_bytes(b"x\n")
    assert caller(7) == (5, b"x", None)


def test_a_thread_that_has_ended_meanwhile(made_up: Path) -> None:
    made_up.rmdir()
    assert caller(7) == (7, b"", None)
