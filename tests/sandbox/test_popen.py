"""SandboxedPopen and run() beside subprocess's own: the same arguments, the same program, the same outcome."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_seccomp.sandbox.popen import SandboxedPopen
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
def limit(number: int, value: int) -> Iterator[None]:
    before = resource.getrlimit(number)
    resource.setrlimit(number, (value, before[1]))
    yield
    resource.setrlimit(number, before)


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
        os.dup2(two.fileno(), 5 if two.fileno() != 5 else 6, inheritable=False)
        try:
            passed = (77, two.fileno())
            named = {"pass_fds": passed} if close_fds else {"close_fds": False}
            found = both(sandboxes, argv(*passed, three.fileno()), **named)
            assert not isinstance(found["descriptors"]["77"], str)
            assert isinstance(found["descriptors"][str(three.fileno())], str)
        finally:
            os.close(77)


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


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (["/no/such/program"], {}),
        (["no-such-program-anywhere"], {}),
        (["/etc/passwd"], {}),
        (["/etc"], {}),
        ([""], {}),
        (["/bin/true"], {"cwd": "/no/such/folder"}),
        (["/bin/true"], {"cwd": "/etc/passwd"}),
        (["/bin/true"], {"executable": "/no/such/program"}),
        ("/no/such/program", {}),
        (["/bin/true"], {"process_group": 1}),
        (["x" * 300], {}),
        (["/bin/true", "x" * 200_000], {}),
        (["/bin/true", "a\0b"], {}),
        (["/bin/true"], {"env": {"A=B": "C"}}),
        (["/bin/true"], {"env": {"A": "C\0"}}),
        ([], {}),
        ([1], {}),
        (["/bin/true"], {"stdout": subprocess.STDOUT}),
        (["/bin/true"], {"user": "no-such-user"}),
        (["/bin/true"], {"pass_fds": [999]}),
        (Path("/bin/true"), {"shell": True}),
    ],
    ids=lambda value: repr(value)[:40],  # it gets into the environment (PYTEST_CURRENT_TEST)
)
def test_what_cannot_start_raises_what_subprocess_raises(
    command: Any, named: dict[str, Any], sandboxes: Sandboxes
) -> None:
    with pytest.raises(Exception) as plain:  # noqa: PT011, whatever it is
        subprocess.run(command, **named)
    with pytest.raises(type(plain.value)) as boxed:
        run(command, sandboxes=sandboxes, **named)
    assert str(boxed.value) == str(plain.value)
    assert vars(boxed.value) == vars(plain.value)
    if isinstance(plain.value, OSError) and isinstance(boxed.value, OSError):
        assert (boxed.value.errno, boxed.value.filename) == (plain.value.errno, plain.value.filename)
    assert run(["/bin/true"], sandboxes=sandboxes).returncode == 0  # and the next one starts


def test_a_script_without_an_interpreter(tmp_path: Path, sandboxes: Sandboxes) -> None:
    script = tmp_path / "script"
    script.write_text("echo hello\n")
    script.chmod(0o755)
    for start in (subprocess.run, lambda command: run(command, sandboxes=sandboxes)):
        with pytest.raises(OSError, match="Exec format error") as raised:
            start([str(script)])
        assert raised.value.filename == str(script)
    script.write_text("#!/no/such/interpreter\n")
    for start in (subprocess.run, lambda command: run(command, sandboxes=sandboxes)):
        with pytest.raises(FileNotFoundError) as found:
            start([str(script)])
        assert found.value.filename == str(script)


def test_a_program_is_found_where_subprocess_finds_it(tmp_path: Path, sandboxes: Sandboxes) -> None:
    for number, mode in (("one", 0o644), ("two", 0o755)):
        (tmp_path / number).mkdir()
        (tmp_path / number / "program").write_text(f"#!/bin/sh\necho {number}\n")
        (tmp_path / number / "program").chmod(mode)
    for path in ("two:one", "one:two", "one", "none:two"):
        search = ":".join(str(tmp_path / part) for part in path.split(":"))
        outcomes = []
        for start in (subprocess.run, lambda *a, **n: run(*a, sandboxes=sandboxes, **n)):
            try:
                outcomes.append(start(["program"], env={"PATH": search}, capture_output=True).stdout)
            except OSError as error:
                outcomes.append((type(error), error.errno, error.filename))
        assert outcomes[0] == outcomes[1], path


@pytest.mark.parametrize(
    "command", ["exit 7", "kill -TERM $$", "kill -KILL $$", "kill -SEGV $$", "echo out; echo err >&2"]
)
def test_a_shells_command_ends_in_the_same_way(command: str, sandboxes: Sandboxes) -> None:
    with limit(resource.RLIMIT_CORE, 0):
        plain = subprocess.run(command, shell=True, capture_output=True, text=True)
        boxed = run(command, shell=True, capture_output=True, text=True, sandboxes=sandboxes)
    assert vars(boxed) | {"told": None} == vars(plain) | {"told": None}
    assert repr(boxed).removeprefix("Completed(") == repr(plain).removeprefix("CompletedProcess(")


def test_check_raises_with_what_was_printed(sandboxes: Sandboxes) -> None:
    with pytest.raises(subprocess.CalledProcessError) as raised:
        run("echo out; exit 3", shell=True, check=True, capture_output=True, sandboxes=sandboxes)
    assert (raised.value.returncode, raised.value.stdout, raised.value.stderr) == (3, b"out\n", b"")


@pytest.mark.parametrize("named", [{"stdin": 0, "input": b""}, {"stdout": 1, "capture_output": True}], ids=str)
def test_arguments_that_exclude_each_other(named: dict[str, Any], sandboxes: Sandboxes) -> None:
    with pytest.raises(ValueError, match="may not"):
        subprocess.run(["/bin/true"], **named)
    with pytest.raises(ValueError, match="may not"):
        run(["/bin/true"], **named, sandboxes=sandboxes)


def test_preexec_fn_is_refused(sandboxes: Sandboxes) -> None:
    with pytest.raises(ValueError, match="preexec_fn is not supported"):
        run(["/bin/true"], preexec_fn=lambda: None, sandboxes=sandboxes)


def test_talking_to_a_program(sandboxes: Sandboxes) -> None:
    with SandboxedPopen(
        ["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, sandboxes=sandboxes
    ) as process:
        assert process.poll() is None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("hello\n")
        assert process.stdout.readline() == "hello\n"
        assert (Path("/proc") / str(process.pid) / "comm").read_text() == "cat\n"
        out, err = process.communicate("more\n")
        assert (out, err) == ("more\n", None)
    assert process.returncode == 0
    assert process.poll() == 0


def test_much_goes_in_and_out(sandboxes: Sandboxes) -> None:
    data = os.urandom(3_000_000)
    assert run(["cat"], input=data, stdout=subprocess.PIPE, timeout=60, sandboxes=sandboxes).stdout == data


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_signals_reach_the_program(number: signal.Signals, sandboxes: Sandboxes) -> None:
    with SandboxedPopen(["sleep", "1000"], sandboxes=sandboxes) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.send_signal(number)
        assert process.wait() == -number
        process.send_signal(number)  # it has ended: nothing happens
        process.kill()
        process.terminate()


def test_a_wrong_signal_is_an_error(sandboxes: Sandboxes) -> None:
    with SandboxedPopen(["sleep", "1000"], sandboxes=sandboxes) as process:
        with pytest.raises(OSError, match="Invalid argument"):
            process.send_signal(4711)
        process.kill()


def test_several_threads_wait_for_one_program(sandboxes: Sandboxes) -> None:
    process = SandboxedPopen(["cat"], stdin=subprocess.PIPE, sandboxes=sandboxes)
    codes: list[int] = []
    threads = [threading.Thread(target=lambda: codes.append(process.wait())) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert process.syscalls["execve"] == 1  # asked for while others wait
    assert process.stdin is not None
    process.stdin.close()
    for thread in threads:
        thread.join()
    assert codes == [0] * 4


def test_a_program_that_nobody_waits_for_is_told_of(sandboxes: Sandboxes) -> None:
    process = SandboxedPopen(["sleep", "1000"], sandboxes=sandboxes)
    pid = process.pid
    with pytest.warns(ResourceWarning, match=f"subprocess {pid} is still running"):
        del process
    assert os.path.exists(f"/proc/{pid}")
