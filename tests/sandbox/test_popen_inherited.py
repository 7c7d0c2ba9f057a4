"""What a program finds in a sandbox is what it finds when subprocess starts it: handed down, or given as arguments."""

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from limits import limit

from pytest_seccomp.linux import execution
from pytest_seccomp.sandbox.running import run
from pytest_seccomp.sandbox.sandboxes import Sandboxes

pytestmark = pytest.mark.needs("listener")

# What a program finds, but for what differs from run to run: pids and addresses
PROBE = r"""
import json, os, resource, signal, stat, sys
def descriptor(number):
    try:
        found = os.fstat(number)
    except OSError as error:
        return error.strerror
    return [stat.S_IFMT(found.st_mode), os.get_inheritable(number), found.st_dev if number > 2 else 0]
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
umask = os.umask(0)
print(json.dumps({
    "argv": sys.argv, "cwd": os.getcwd(), "environment": {**os.environ}, "umask": umask,
    "users": os.getresuid(), "groups": [os.getresgid(), sorted(os.getgroups())],
    "session": os.getsid(0) == os.getpid(), "blocked": status["SigBlk"],
    # Without 32 and 33, of which posix_spawn makes what it likes, and the C library what it needs (glibc, spawni.c)
    "ignored": int(status["SigIgn"], 16) & ~(3 << 31),
    "descriptors": {number: descriptor(number) for number in (0, 1, 2, *map(int, filter(str.isdigit, sys.argv[1:])))},
    "open": sorted(set(map(int, os.listdir("/proc/self/fd"))) - {3}),
    "limits": [resource.getrlimit(number) for number in range(16)],
    "nice": os.nice(0), "processors": sorted(os.sched_getaffinity(0)),
    "capabilities": status["CapEff"],
}))
"""


libc = ctypes.CDLL(None)


@pytest.fixture(autouse=True)
def environment_that_python_knows() -> Iterator[None]:
    """Without what code in C has set, such as readline, which pdb imports: subprocess hands that down or not, as its
    arguments and its version are."""
    others = [entry.partition(b"=")[::2] for entry in execution.environment()]
    others = [(name, value) for name, value in others if name not in os.environb]
    for name, _ in others:
        libc.unsetenv(name)
    yield
    for name, value in others:
        libc.setenv(name, value, 1)


def argv(*arguments: object) -> list[str]:
    """The probe's command."""
    return [sys.executable, "-I", "-S", "-c", PROBE, *map(str, arguments)]


def both(sandboxes: Sandboxes, *positional: Any, **named: Any) -> Any:
    """What a program finds in a sandbox, and it must find the same without."""
    named = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **named}
    plain = subprocess.run(*positional, **named)
    boxed = run(*positional, sandboxes=sandboxes, **named)
    assert (boxed.args, boxed.returncode, boxed.stderr) == (plain.args, plain.returncode, plain.stderr)
    assert json.loads(boxed.stdout) == json.loads(plain.stdout)
    return json.loads(boxed.stdout)


def test_all_is_as_pytest_hands_it_down(sandboxes: Sandboxes) -> None:
    both(sandboxes, argv("one", "two words", "", "ü"))


@contextlib.contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    yield
    os.umask(before)


@contextlib.contextmanager
def folder(path: Path) -> Iterator[None]:
    before = os.open(".", os.O_RDONLY)
    os.chdir(path)
    yield
    os.fchdir(before)
    os.close(before)


@contextlib.contextmanager
def ignoring(number: signal.Signals) -> Iterator[None]:
    before = signal.signal(number, signal.SIG_IGN)
    yield
    signal.signal(number, before)


@contextlib.contextmanager
def blocking(number: signal.Signals) -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    os.environ[name] = value
    yield
    del os.environ[name]


@contextlib.contextmanager
def processor() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, [max(before)])
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    "changed",
    [
        lambda tmp_path: umask(0o137),
        folder,
        lambda tmp_path: ignoring(signal.SIGHUP),
        lambda tmp_path: blocking(signal.SIGUSR1),
        lambda tmp_path: limit(resource.RLIMIT_NOFILE, 200),
        lambda tmp_path: limit(resource.RLIMIT_CPU, 100_000),
        lambda tmp_path: environment("OF_A_TEST", "ä"),
        lambda tmp_path: processor(),
    ],
    ids=["umask", "folder", "ignored signal", "blocked signal", "open files", "seconds", "environment", "processors"],
)
def test_what_a_test_changes_of_pytest_is_handed_down_too(
    changed: Callable[[Path], contextlib.AbstractContextManager[None]], tmp_path: Path, sandboxes: Sandboxes
) -> None:
    before = both(sandboxes, argv())
    with changed(tmp_path):
        assert both(sandboxes, argv()) != before


def test_what_code_in_c_has_set_is_in_the_environment(sandboxes: Sandboxes) -> None:
    libc.setenv(b"OF_C", b"1", 1)
    try:
        found = both(sandboxes, argv(), cwd="/")  # with that subprocess hands it down, whatever its version
    finally:
        libc.unsetenv(b"OF_C")
    assert found["environment"]["OF_C"] == "1"
    assert "OF_C" not in os.environ


def test_a_folder_that_is_gone_is_handed_down(tmp_path: Path, sandboxes: Sandboxes) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    with folder(gone):
        gone.rmdir()
        result = run(["/bin/sh", "-c", "readlink /proc/self/cwd"], sandboxes=sandboxes, capture_output=True, text=True)
    assert result.stdout == f"{gone} (deleted)\n"


@pytest.mark.parametrize(
    "named",
    [
        {"cwd": "/"},
        {"cwd": Path("/usr")},
        {"env": {"ONLY": "this", "AND": "ü"}},
        {"umask": 0o27},
        {"restore_signals": False},
        {"start_new_session": True},
        {"process_group": 0},
        {"executable": sys.executable},
        {"bufsize": 0},
        {"stdin": subprocess.PIPE},
        {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL},
        {"stderr": subprocess.STDOUT},
        {"stderr": subprocess.PIPE, "text": True},
        {"encoding": "utf-8"},
        {"errors": "replace"},
        {"universal_newlines": True},
        {"input": b"bytes"},
        {"close_fds": False},
        {"pipesize": 65536},
        {"timeout": 60},
        {"check": True},
    ],
    ids=str,
)
def test_an_argument_means_what_it_means_to_subprocess(named: dict[str, Any], sandboxes: Sandboxes) -> None:
    if "input" in named:
        named = {**named, "stdout": subprocess.PIPE}
        plain = subprocess.run(["cat"], **named)
        assert run(["cat"], sandboxes=sandboxes, **named).stdout == plain.stdout == b"bytes"
        return
    both(sandboxes, argv(), **named)


@pytest.mark.needs("root")
@pytest.mark.parametrize(
    "named",
    [
        {"user": 65534},
        {"user": "nobody", "group": "nogroup", "extra_groups": []},
        {"group": 65534},
        {"extra_groups": [1, 2, 3]},
    ],
    ids=str,
)
def test_another_user(named: dict[str, Any], sandboxes: Sandboxes) -> None:
    program = "import os; print(list((os.getresuid(), os.getresgid(), sorted(os.getgroups()))))"
    command = ["/usr/bin/env", "python3", "-c", program]
    probe = ["/bin/sh", "-c", "grep -E '^(Uid|Gid|Groups|CapEff|NoNewPrivs)' /proc/self/status"]
    plain = subprocess.run(probe, capture_output=True, text=True, **named)
    boxed = run(probe, sandboxes=sandboxes, capture_output=True, text=True, **named)
    assert boxed.stdout == plain.stdout, (command, boxed.stderr)
    assert boxed.complete


@pytest.mark.needs("root")
def test_a_user_that_a_test_has_become(sandboxes: Sandboxes) -> None:
    probe = ["/bin/sh", "-c", "grep -E '^(Uid|Gid|Groups)' /proc/self/status"]
    sandboxes.start()
    os.seteuid(65534)
    try:
        plain = subprocess.run(probe, capture_output=True, text=True)
        boxed = run(probe, sandboxes=sandboxes, capture_output=True, text=True)
    finally:
        os.seteuid(0)
    assert boxed.stdout == plain.stdout


@pytest.mark.parametrize("close_fds", [True, False])
def test_descriptors_are_passed_on_under_their_numbers(close_fds: bool, tmp_path: Path, sandboxes: Sandboxes) -> None:
    with open(tmp_path / "1", "wb") as one, open(tmp_path / "2", "wb") as two, open(tmp_path / "3", "wb") as three:
        os.dup2(one.fileno(), 77)
        other = os.dup(two.fileno())  # the lowest that is free, and not inherited
        try:
            passed = (77, two.fileno())
            named = {"pass_fds": passed} if close_fds else {"close_fds": False}
            found = both(sandboxes, argv(*passed, three.fileno()), **named)
            assert not isinstance(found["descriptors"]["77"], str)
            assert isinstance(found["descriptors"][str(three.fileno())], str)
        finally:
            os.close(77)
            os.close(other)


def test_many_descriptors_are_passed_on(sandboxes: Sandboxes) -> None:
    passed = [os.dup(0) for _ in range(300)]
    try:
        found = both(sandboxes, argv(), pass_fds=passed)
        assert set(passed) - set(found["open"]) <= {3}
    finally:
        for number in passed:
            os.close(number)


@pytest.mark.parametrize("closed", [[1], [0, 1, 2]], ids=str)
def test_standard_descriptors_that_are_closed_stay_closed(closed: list[int], tmp_path: Path) -> None:
    """In a process of its own, which has them closed."""
    program = f"""
import os, subprocess, sys
from pytest_seccomp.sandbox.running import run
from pytest_seccomp.sandbox.sandboxes import Sandboxes
for number in {closed}:
    os.close(number)
look = (
    "import os, sys; "
    "print([n for n in range(3) if os.path.exists(f'/proc/self/fd/{{n}}')], file=open(sys.argv[1], 'w'))"
)
sandboxes = Sandboxes()
for called, name in ((subprocess.run, "plain"), (lambda *a: run(*a, sandboxes=sandboxes), "boxed")):
    called(["/usr/bin/env", "python3", "-c", look, sys.argv[1] + name])
sandboxes.close()
os._exit(7)  # without flushing what is closed
"""
    done = subprocess.run([sys.executable, "-I", "-c", program, f"{tmp_path}/"], timeout=60)
    assert done.returncode == 7
    assert (tmp_path / "boxed").read_text() == (tmp_path / "plain").read_text() != ""
