"""What a signal would do to a thread, as /proc says it, and a signal for one thread."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from textwrap import dedent

import pytest
from child import output

from pytest_seccomp.linux import signals
from pytest_seccomp.linux.signals import Signals


@pytest.mark.parametrize(
    ("setting", "does"),
    [
        ("pass", True),
        ("signal.signal(signal.SIGSYS, signal.SIG_IGN)", False),
        ("signal.signal(signal.SIGSYS, print)", False),
        ("signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGSYS])", False),
        ("signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, 64, 1])", True),
        ("signal.signal(signal.SIGUSR1, print)", True),
    ],
)
def test_whether_a_signal_does_its_default(setting: str, does: bool) -> None:
    program = f"""
        import os, signal
        from pytest_seccomp.linux.signals import Signals
        {setting}
        found = Signals(os.getpid())
        print(found.does_its_default(signal.SIGSYS), found.pid == os.getpid(), found.does_its_default(signal.SIGTERM))
    """
    assert output(program) == f"{does} True True\n"


def test_each_thread_blocks_its_own() -> None:
    program = """
        import os, signal, threading
        from pytest_seccomp.linux.signals import Signals
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGSYS])
        def run():
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGSYS])
            found = Signals(threading.get_native_id())
            print(found.does_its_default(signal.SIGSYS), found.pid == os.getpid())
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        print(Signals(os.getpid()).does_its_default(signal.SIGSYS))
    """
    assert output(program) == "True True\nFalse\n"


@pytest.mark.needs("mount")
def test_the_first_process_of_a_pid_namespace_takes_no_harm() -> None:
    command = ["unshare", "--pid", "--fork", sys.executable, "-I", "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
            first = int(file.read())
        assert not Signals(first).does_its_default(signal.SIGSYS)
        assert Signals(process.pid).does_its_default(signal.SIGSYS)
        process.communicate(b"\n")


def test_no_such_thread() -> None:
    with pytest.raises(FileNotFoundError):
        Signals(2**22 + 1)  # larger than any pid can be


@pytest.fixture
def program() -> Iterator["subprocess.Popen[str]"]:
    """Two threads that say which of them gets SIGUSR1."""
    source = """
        import ctypes, os, signal, threading
        def run(name):
            signal.sigwait([signal.SIGUSR1])
            os.write(1, f"{name}\\n".encode())
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        thread = threading.Thread(target=run, args=("other",))
        thread.start()
        print(thread.native_id, flush=True)
        run("first")
    """
    command = [sys.executable, "-I", "-c", dedent(source)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_a_signal_for_one_thread(program: "subprocess.Popen[str]") -> None:
    assert program.stdout is not None
    other = int(program.stdout.readline())
    signals.send(program.pid, other, signal.SIGUSR1)
    assert program.stdout.readline() == "other\n"
    signals.send(program.pid, program.pid, signal.SIGUSR1)
    assert program.stdout.readline() == "first\n"
    assert program.wait() == 0
    with pytest.raises(ProcessLookupError):
        signals.send(os.getpid(), other, 0)
    signals.send(os.getpid(), threading.get_native_id(), 0)
