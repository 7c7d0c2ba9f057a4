"""Starting a process of ours, before it is known what it is to do and after."""

import subprocess
import sys
from pathlib import Path

import pytest
from child import output

import pytest_seccomp
from pytest_seccomp.errors import RecorderError
from pytest_seccomp.recorder import client, starting
from pytest_seccomp.recorder.protocol import Settings

BEGIN = """
    import os, sys
    from pytest_seccomp.recorder import client, protocol, starting

    def open_files():
        return sorted(os.listdir("/proc/self/fd"))

    def has_child():
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        return True

    def begun():
        return starting.Begun(starting.RECORDER, starting.CALLED)

    def start(spawn):
        spool = f"{sys.argv[1]}/{os.urandom(8).hex()}"
        settings = protocol.Settings("notify", 1, os.getpid(), spool, "null", None)
        return client.start(settings, spawn)

    spawned = []
    spawn = os.posix_spawn

    def noted(*arguments, **settings):
        spawned.append(spawn(*arguments, **settings))
        return spawned[-1]

    os.posix_spawn = noted
    before = open_files()
"""


@pytest.mark.needs("listener")
def test_a_process_that_has_begun_is_told_what_to_do(tmp_path: Path) -> None:
    program = """
    recorder = begun()
    assert len(spawned) == 1
    connection = start(recorder.start)
    assert len(spawned) == 1 and connection.backend == "notify"
    assert not has_child()
    recorder.close()
    connection.attach()  # its socket is the client's
    connection.close()
    """
    output(BEGIN + program, tmp_path)


@pytest.mark.needs("listener")
def test_another_one_is_started_for_a_second_task_and_for_another_module(tmp_path: Path) -> None:
    program = """
    recorder = begun()
    assert start(recorder.start).recorder != 0 and len(spawned) == 1
    assert start(recorder.start).recorder != 0 and len(spawned) == 2
    other = starting.Begun("pytest_seccomp.recorder.watcher", "the watcher")
    assert start(other.start).recorder != 0 and len(spawned) == 4
    other.close()
    assert not has_child()
    """
    output(BEGIN + program, tmp_path)


def test_a_process_that_is_told_nothing_ends(tmp_path: Path) -> None:
    """And leaves no child, no descriptor and no file."""
    program = """
    import ctypes
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: what is no child of ours becomes one
    recorder = begun()
    assert has_child()
    recorder.close()
    assert open_files() == before
    _, status = os.waitpid(-1, 0)
    assert status == 0
    assert not has_child()
    """
    output(BEGIN + program, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("executable", "message"),
    [
        ("", "cannot start the recorder: this Python does not know its own executable (sys.executable)"),
        (
            "/none/py",
            "cannot start the recorder: /none/py: No such file or directory: run again, or ask pytest-seccomp doctor",
        ),
        ("/bin/false", "the recorder did not start: /bin/false -I -S ended with status 1"),
        ("/bin/true", "the recorder ended before it was ready: run again, or ask pytest-seccomp doctor"),
    ],
)
@pytest.mark.parametrize("early", [False, True], ids=["when it is needed", "early"])
def test_a_process_that_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, early: bool, executable: str, message: str
) -> None:
    """One that was to begin early says so where it is needed."""
    monkeypatch.setattr(sys, "executable", executable)
    spawn = starting.Begun(starting.RECORDER, starting.CALLED).start if early else starting.start
    with pytest.raises(RecorderError) as caught:
        client.start(Settings("notify", 1, 1, str(tmp_path / "spool"), "null", None), spawn)
    assert str(caught.value) == message


def test_what_a_recorder_and_its_self_check_do_without() -> None:
    """Each of these takes milliseconds, in which pytest waits."""
    program = """
import ctypes, sys
before = set(sys.modules)
sys.path.append(sys.argv[1])
import pytest_seccomp.recorder.process
from pytest_seccomp.linux import marked, parent, seccomp, shared_words
from pytest_seccomp.recorder.backends import notify
print(*set(sys.modules) - before)
"""
    packages = Path(pytest_seccomp.__file__).parents[1]
    command = [sys.executable, "-I", "-S", "-c", program, str(packages)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    dear = {"collections", "collections.abc", "contextlib", "enum", "functools", "json", "re", "signal", "socket"}
    assert set(result.stdout.split()) & (dear | {"typing"}) == set()
