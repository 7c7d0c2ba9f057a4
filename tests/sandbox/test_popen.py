"""SandboxedPopen and run() beside subprocess's own: the same errors, the same talk with a program, the same outcome."""

import os
import resource
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from limits import limit

from pytest_seccomp.sandbox.popen import SandboxedPopen
from pytest_seccomp.sandbox.running import run
from pytest_seccomp.sandbox.sandboxes import Sandboxes

pytestmark = pytest.mark.needs("listener")


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
