"""The command as such: errors in one line, exit statuses, output that nobody reads to its end."""

import errno
import io
import os
import re
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from commands import Command, Trace

import pytest_seccomp
from pytest_seccomp.cli import main

COMMAND = Path(sysconfig.get_path("scripts"), "pytest-seccomp")
COMMANDS = "{check,completion,diff,doctor,generate,groups,merge,prune,record,show,why}"
GONE = "No such file or directory (ENOENT): name a trace or its tests file"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"pytest-seccomp {pytest_seccomp.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], f"the following arguments are required: {COMMANDS}: see pytest-seccomp --help"),
        (["show"], "the following arguments are required: TRACE: see pytest-seccomp show --help"),
        (["merge", "a"], "the following arguments are required: -o/--output: see pytest-seccomp merge --help"),
        (["show", "--by-tests", "x"], "unrecognized arguments: --by-tests: see pytest-seccomp --help"),
        (["show", "/gone"], f"cannot read /gone: {GONE}"),
        (["show", "/"], "/ is a directory, which cannot be read as a trace: name a file"),
        (["show", "/\x1b[2J\n"], rf"cannot read /\x1b[2J\n: {GONE}"),
    ],
)
def test_an_error_is_one_line_and_status_2(command: Command, arguments: list[str], message: str) -> None:
    result = command(*arguments)
    assert (result.status, result.out, result.err) == (2, "", f"pytest-seccomp: error: {message}\n")


def test_an_unknown_command_is_an_error_that_names_all(command: Command) -> None:
    result = command("shwo")
    assert result.status == 2
    assert re.fullmatch(r"pytest-seccomp: error: .*'shwo'.*doctor.*merge.*show.*why.* --help\n", result.err)


def test_the_module_is_the_command(trace: Trace) -> None:
    path = trace()
    process = [sys.executable, "-m", "pytest_seccomp", "show", str(path)]
    result = subprocess.run(process, capture_output=True, text=True, check=True)
    assert result.stdout.startswith(f"{path}: complete, notify, i386, x86_64\n")
    script = subprocess.run([COMMAND, "show", str(path)], capture_output=True, text=True, check=True)
    assert script.stdout == result.stdout
    failed = subprocess.run([*process[:-1], "/gone"], capture_output=True, text=True, check=False)
    assert (failed.returncode, failed.stderr) == (2, f"pytest-seccomp: error: cannot read /gone: {GONE}\n")


def test_output_that_nobody_reads_ends_the_command_quietly(trace: Trace) -> None:
    """`show | head`."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "pytest_seccomp", "show", str(trace())]
    with open(writing, "w") as nobody:
        result = subprocess.run(command, stdout=nobody, stderr=subprocess.PIPE, text=True, check=False)
    assert (result.returncode, result.stderr) == (128 + signal.SIGPIPE, "")


def test_an_interrupt_ends_the_command_quietly(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("pytest_seccomp.cli.show.run", interrupt)
    result = command("show", "x")
    assert (result.status, result.err) == (128 + signal.SIGINT, "")


def test_an_id_that_the_output_cannot_encode_is_escaped(
    trace: Trace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = trace()
    tests = path.with_name("out.tests.ndjson")
    tests.write_text(tests.read_text().replace("t.py::copy", "t.py::\\u00e9"))
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", output)
    assert main(["show", "--by-test", str(path)]) == 0
    assert b"t.py::\\xe9" in output.buffer.getvalue()


def test_show_and_why_import_neither_filelock_nor_pyseccomp(trace: Trace) -> None:
    code = "import sys; from pytest_seccomp.cli import main; main(); print(*sys.modules)"
    for arguments in (["show"], ["why", "read"]):
        command = [sys.executable, "-c", code, *arguments, str(trace())]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        loaded = set(result.stdout.splitlines()[-1].split())
        assert "pytest_seccomp.trace.totals" in loaded
        assert loaded & {"filelock", "pyseccomp", "ctypes", "pytest"} == set()


def test_commands_leave_the_trace_as_it_is(command: Command, trace: Trace, tmp_path: Path) -> None:
    path = trace()
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in tmp_path.iterdir()}
    command("show", path)
    command("why", "read", path)
    command("merge", "-o", tmp_path / "other/all.ndjson", path)
    assert {
        file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in tmp_path.iterdir() if file.is_file()
    } == before


@pytest.mark.parametrize("arguments", [("merge", "-o", "all.ndjson"), ("show",)], ids=["merge", "show"])
def test_memory_does_not_grow_with_the_number_of_tests(trace: Trace, arguments: tuple[str, ...]) -> None:
    """Twenty times as many tests, in a file of 20 MB, with at most a quarter more memory at the highest point."""
    path = trace()
    tests = path.with_name("out.tests.ndjson")
    path.unlink()
    first, *others = tests.read_text().splitlines(keepends=True)

    def highest(repeated: int) -> int:
        tests.write_text(first + "".join(others) * repeated)
        # Not getrusage(), which remembers the memory of the process that ours was forked from.
        code = (
            "from pytest_seccomp.cli import main; from pytest_seccomp.linux.process import status_field; "
            "assert main() == 0; print(status_field('VmHWM').split()[0])"
        )
        command = [sys.executable, "-c", code, *arguments, tests.name]
        result = subprocess.run(command, cwd=tests.parent, capture_output=True, text=True, check=True)
        return int(result.stdout.splitlines()[-1])

    few, many = highest(1_000), highest(20_000)
    assert many < few * 1.25


def shell(script: str, *arguments: str | Path | bytes) -> subprocess.CompletedProcess[bytes]:
    """Run a line of shell in which "$@" is the command."""
    command = ["sh", "-c", script, "sh", sys.executable, "-m", "pytest_seccomp", *arguments]
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}  # with it argparse passes over what it cannot print
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)


@pytest.mark.parametrize("arguments", [("show",), ("show", "--json"), ("why", "read"), ("--help",)])
def test_output_that_cannot_be_written_is_an_error(trace: Trace, arguments: tuple[str, ...]) -> None:
    path = [] if arguments == ("--help",) else [trace()]
    full = shell('"$@" >/dev/full', *arguments, *path)
    assert full.returncode == 2
    message = "cannot write to standard output: No space left on device (ENOSPC): let it go elsewhere"
    assert full.stderr.decode() == f"pytest-seccomp: error: {message}\n"
    closed = shell('"$@" >&-', *arguments, *path)
    assert closed.returncode == 2
    assert closed.stderr == b"pytest-seccomp: error: standard output is closed: let it go to a file or a pipe\n"


def test_a_long_output_of_which_only_the_beginning_is_read_ends_quietly(trace: Trace) -> None:
    tests = trace().with_name("out.tests.ndjson")
    lines = tests.read_text().splitlines(keepends=True)
    tests.with_name("out.ndjson").unlink()
    tests.write_text("".join(lines) + lines[-2] * 20_000)
    result = shell('"$@" | head -n 1', "show", "--by-test", tests)
    assert (result.stdout, result.stderr) == (f"{tests}: complete, notify, i386, x86_64\n".encode(), b"")


def test_an_error_that_cannot_be_told_leaves_the_exit_status() -> None:
    result = shell('"$@" 2>&-', "show", "/gone")
    assert (result.returncode, result.stdout) == (2, b"")


def test_an_argument_may_hold_any_bytes(trace: Trace, tmp_path: Path) -> None:
    path = trace()
    odd = bytes(tmp_path) + b"/\xff\n\x1b.ndjson"
    path.rename(os.fsdecode(odd))
    result = shell('"$@"', "show", odd)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.startswith(bytes(tmp_path) + rb"/\udcff\n\x1b.ndjson: complete")
    assert shell('"$@"', "show", "--json", odd).returncode == 0
    merged = shell('"$@"', "merge", odd, "-o", odd + b"2")
    assert (merged.returncode, merged.stderr) == (0, b"")
    for arguments in ((b"why", b"\xff", odd), (b"show", b"/\xff"), (b"\xff",), (b"merge", odd, b"-o", odd)):
        failed = shell('"$@"', *arguments)
        assert (failed.returncode, failed.stdout) == (2, b"")
        assert re.fullmatch(rb"pytest-seccomp: error: [ -~]+\n", failed.stderr)


@pytest.mark.parametrize("arguments", [("show", "a\0b"), ("why", "read", "a\0b"), ("merge", "a\0b", "-o", "c")])
def test_a_name_that_no_file_can_have_is_an_error(command: Command, arguments: tuple[str, ...]) -> None:
    result = command(*arguments)
    assert (result.status, result.out) == (2, "")
    assert re.match(r"pytest-seccomp: error: cannot read a\\x00b: .*embedded null", result.err)


def test_what_the_system_refuses_anywhere_is_an_error(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO), "/somewhere")

    monkeypatch.setattr("pytest_seccomp.cli.show.run", refuse)
    result = command("show", "x")
    assert (result.status, result.err) == (2, "pytest-seccomp: error: /somewhere: Input/output error (EIO)\n")
