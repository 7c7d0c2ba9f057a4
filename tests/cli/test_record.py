"""`pytest-seccomp record`: a program and all that it starts, traced without pytest."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import strace
from commands import Command
from compiled import family
from running import DEADLINE, VARIABLE, Process, until

pytestmark = pytest.mark.needs("listener")

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}

WAITING = """
import os, signal
awaited = [signal.SIGTERM, signal.SIGUSR1]
signal.pthread_sigmask(signal.SIG_BLOCK, awaited)  # to be waited for, and not to come just before the wait
os.write(1, b"ready\\n")
while signal.sigwait(awaited) == signal.SIGTERM:
    os.write(1, b"TERM\\n")
os._exit(5)
"""


@dataclass(slots=True)
class Recording:
    """A command that is recorded into out.ndjson of a folder."""

    folder: Path
    process: "subprocess.Popen[str]"
    token: str

    @property
    def file(self) -> Path:
        return self.folder / "out.ndjson"

    def processes(self) -> list[Process]:
        return Process.all_with(self.token)

    def end(self) -> tuple[int, str, str]:
        """Wait for it, and for the end of all that it has started: status and what it printed."""
        out, err = self.process.communicate(timeout=DEADLINE)
        until("the end of every process", lambda: not self.processes())
        assert [path.name for path in self.folder.glob("pytest-seccomp-*")] == []
        return self.process.returncode, out, err

    def counts(self) -> Counter[int]:
        """Calls by number."""
        return Counter({entry["syscall"]: entry["count"] for entry in read(self.file)})

    def names(self) -> set[str]:
        """Of the calls that were made."""
        return {entry["name"] for entry in read(self.file)}

    def lines(self) -> list[dict[str, Any]]:
        """Those of the tests file."""
        return read(self.file.with_suffix(".tests.ndjson"))


def read(path: Path) -> list[dict[str, Any]]:
    """The objects in a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def record(
    folder: Path, *command: str | Path, options: Sequence[str] = (), main: Sequence[str] = ("-m", "pytest_seccomp")
) -> Recording:
    """Begin to record a command. `main` is what Python runs."""
    token = uuid.uuid4().hex
    program = [sys.executable, *main, "record", "-o", "out.ndjson", *options, "--", *command]
    process = subprocess.Popen(
        program,
        cwd=folder,
        env={**ENVIRONMENT, "TMPDIR": str(folder), VARIABLE: token},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return Recording(folder, process, token)


@pytest.mark.needs("strace")
@pytest.mark.needs("c-compiler")
@pytest.mark.parametrize(
    "backend",
    [
        "notify",
        pytest.param("ebpf", marks=pytest.mark.needs("bpf")),
        pytest.param("audit", marks=pytest.mark.needs("audit")),
    ],
)
def test_what_strace_sees(tmp_path: Path, backend: str) -> None:
    """The program, from its execve on, and what it starts in each way that C has; and nothing of ours."""
    program = family(tmp_path)
    log = tmp_path / "log"
    environment = {**ENVIRONMENT, "TMPDIR": str(tmp_path), VARIABLE: uuid.uuid4().hex}
    subprocess.run(["strace", *strace.OPTIONS, str(log), program], env=environment, check=True)
    expected = Counter(call.number for call in strace.read(log))

    recording = record(tmp_path, program, options=["--backend", backend])
    status, _, err = recording.end()
    assert status == 0
    assert recording.counts() == expected
    assert err.splitlines()[-1] == (
        f"pytest-seccomp: out.ndjson: complete, {backend}, {sum(expected.values()):,} calls of {len(expected)} kinds"
    )


def test_streams_arguments_and_descriptors_are_its_own(tmp_path: Path) -> None:
    code = "import os, sys; print(sys.argv[1:], input(), sorted(os.listdir('/proc/self/fd'))); os.write(2, b'2\\n')"
    recording = record(tmp_path, sys.executable, "-c", code, "--", "-q", "a b", options=["--quiet"])
    out, err = recording.process.communicate("text\n", timeout=DEADLINE)
    # Descriptor 3 is that of the listing
    assert (out, err) == ("['--', '-q', 'a b'] text ['0', '1', '2', '3']\n", "2\n")
    run, test, *_ = recording.lines()
    assert run["selection"] == [sys.executable, "-c", code, "--", "-q", "a b"]
    assert run["exit_status"] == 0
    assert test["outcome"] == "passed"
    assert str(test["nodeid"]).startswith(f"{sys.executable} -c 'import os, sys; ")


@pytest.mark.parametrize(("shell", "status"), [("exit 7", 7), ("kill -TERM $$", -15), ("kill -KILL $$", -9)])
def test_exit_status_and_signal_are_its_own(tmp_path: Path, shell: str, status: int) -> None:
    recording = record(tmp_path, "/bin/sh", "-c", shell, options=["--json"])
    ended, _, err = recording.end()
    assert ended == status
    members = json.loads(err)
    assert (members["exit_status"], members["signal"]) == ((7, None) if status == 7 else (None, -status))
    assert members["complete"] is True
    run, test, *_ = recording.lines()
    assert run["exit_status"] == (7 if status == 7 else 128 - status)
    assert test["outcome"] == "failed"


def test_signals_are_passed_on(tmp_path: Path) -> None:
    recording = record(tmp_path, sys.executable, "-c", WAITING)
    stdout = recording.process.stdout
    assert stdout is not None
    assert stdout.readline() == "ready\n"
    recording.process.send_signal(signal.SIGTERM)
    assert stdout.readline() == "TERM\n"
    recording.process.send_signal(signal.SIGUSR1)
    status, _, err = recording.end()
    assert status == 5
    assert ": complete, " in err


def test_a_terminal_is_its_own(tmp_path: Path) -> None:
    """Ctrl-C is one SIGINT to the program, which reads from the terminal as ever."""
    code = """if True:
        import os, signal
        caught, wakes = os.pipe()
        os.set_blocking(wakes, False)
        signal.set_wakeup_fd(wakes)
        signal.signal(signal.SIGINT, lambda *_: os.write(1, b"INT."))
        os.write(1, b"ready.")
        os.read(caught, 1)
        os.write(1, os.read(0, 100).strip() + b" in the foreground: %d." % (os.tcgetpgrp(0) == os.getpgrp()))
    """
    ours, theirs = os.openpty()
    recorded = [sys.executable, "-c", code]
    program = [sys.executable, "-m", "pytest_seccomp", "record", "-q", "-o", "out.ndjson", "--", *recorded]
    with subprocess.Popen(
        ["setsid", "--ctty", *program], cwd=tmp_path, env=ENVIRONMENT, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        said = b""
        for wait_for, answer in ((b"ready.", b"\x03"), (b"INT.", b"a line\n"), (b"foreground: 1.", b"")):
            while wait_for not in said:
                said += os.read(ours, 1000)
            os.write(ours, answer)
    os.close(ours)
    assert process.returncode == 0
    assert said.count(b"INT.") == 1
    assert b"a line in the foreground: 1." in said


def test_what_the_program_leaves_behind_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    daemon = "read line < fifo; mkdir made"
    recording = record(tmp_path, "/bin/sh", "-c", f"({daemon}) > /dev/null 2>&1 & exit 3")
    assert recording.process.stderr is not None
    assert recording.process.stderr.readline() == (
        "pytest-seccomp: the program has ended, but 1 process that it has started is still there, so recording goes "
        "on: Ctrl-C ends it, --no-wait does not wait\n"
    )
    (tmp_path / "fifo").write_text("go\n")
    status, _, err = recording.end()
    assert status == 3
    assert ": complete, " in err
    assert {"mkdir", "mkdirat"} & recording.names()


def test_what_it_leaves_behind_goes_on_without_the_recording(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    daemon = "read line < fifo; mkdir made"
    recording = record(tmp_path, "/bin/sh", "-c", f"({daemon}) > /dev/null 2>&1 &", options=["--no-wait"])
    _, err = recording.process.communicate(timeout=DEADLINE)
    assert err.startswith("pytest-seccomp: 1 process that it has started is still there: what they do from now on is ")
    (tmp_path / "fifo").write_text("go\n")
    until("the end of every process", lambda: not recording.processes())
    assert (tmp_path / "made").is_dir()
    assert not {"mkdir", "mkdirat"} & recording.names()


def test_killed(tmp_path: Path) -> None:
    """The recording's own process: the program goes on, and the trace is written without it."""
    recording = record(tmp_path, sys.executable, "-c", WAITING)
    assert recording.process.stdout is not None
    assert recording.process.stdout.readline() == "ready\n"
    (program,) = [process for process in recording.processes() if process.command.startswith(f"{sys.executable} -c")]
    recording.process.kill()
    until("a trace", recording.file.exists)
    os.kill(program.pid, signal.SIGUSR1)
    status, _, _ = recording.end()
    assert status == -9
    run, test, *_ = recording.lines()
    assert (run["complete"], test["outcome"], test["complete"]) == (False, None, False)


def test_a_recorder_that_is_killed(tmp_path: Path) -> None:
    recording = record(tmp_path, sys.executable, "-c", WAITING, options=["--backend", "notify"])
    assert recording.process.stdout is not None
    assert recording.process.stdout.readline() == "ready\n"
    recorders = [process for process in recording.processes() if process.records]
    (recorder,) = [one for one in recorders if one.parent not in {other.pid for other in recorders}]
    recorder.kill()
    recording.process.send_signal(signal.SIGUSR1)
    status, _, err = recording.end()
    assert status == 5
    assert ": INCOMPLETE, notify, " in err
    assert "  the recorder died: what was traced after that is not recorded\n" in err
    assert recording.lines()[0]["complete"] is False


LATE = """
import sys
from pytest_seccomp.cli import main
from pytest_seccomp.recorder import salvage

describe = salvage.describe

def describe_late(directory, *rest, **options):
    while directory.path.exists():
        pass
    describe(directory, *rest, **options)

salvage.describe = describe_late
sys.exit(main())
"""


@pytest.mark.parametrize("main", [("-m", "pytest_seccomp"), ("-c", LATE)], ids=["at any time", "at once"])
@pytest.mark.parametrize("backend", ["notify", pytest.param("ebpf", marks=pytest.mark.needs("bpf"))])
def test_a_program_that_removes_what_was_recorded(tmp_path: Path, backend: str, main: Sequence[str]) -> None:
    # What was there when rm looked may have another name when it comes to it
    program = "while [ -e pytest-seccomp-* ]; do rm -rf pytest-seccomp-*; done"
    recording = record(tmp_path, "/bin/sh", "-c", program, options=["--backend", backend], main=main)
    status, _, err = recording.end()
    assert status == 0
    assert f"out.ndjson: INCOMPLETE, {backend}, 0 calls of 0 kinds\n" in err
    assert "  all that was recorded is gone: somebody has removed " in err
    (run,) = recording.lines()
    assert (run["complete"], run["lost"]) == (False, None)


def test_added_to_a_trace(tmp_path: Path, command: Command) -> None:
    for options in ([], ["--append"]):
        assert record(tmp_path, "/bin/true", options=options).end()[0] == 0
    shown = json.loads(command("why", "execve", tmp_path / "out.ndjson", "--json").out)
    assert [(maker["run"], maker["nodeid"], maker["count"]) for maker in shown["made_by"]] == [
        (1, "/bin/true", 1),
        (2, "/bin/true", 1),
    ]


@pytest.mark.parametrize(
    ("name", "content", "status", "words"),
    [
        ("nowhere", None, 127, "./nowhere is not found: name a program of the PATH, or a file"),
        ("text", "", 126, "cannot execute ./text: Permission denied: make it executable (chmod +x), and its file "),
        ("empty", "", 126, "cannot execute ./empty: Exec format error: it is no program of this machine, or a script "),
        ("script", "#!/nowhere\n", 126, "cannot execute ./script: No such file or directory: the interpreter in its "),
    ],
)
def test_what_cannot_be_executed(tmp_path: Path, name: str, content: str | None, status: int, words: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o644 if name == "text" else 0o755)
    recording = record(tmp_path, f"./{name}")
    ended, _, err = recording.end()
    assert ended == status
    assert err.startswith(f"pytest-seccomp: error: {words}")
    assert err.count("\n") == 1
    assert not recording.file.exists()


def test_without_a_command(tmp_path: Path, command: Command) -> None:
    out = tmp_path / "out.ndjson"
    assert command("record", "-o", out).err == (
        "pytest-seccomp: error: what is to be recorded is missing: pytest-seccomp record -o OUT -- COMMAND\n"
    )
    result = command("record", "-o", out, "true")
    assert result.status == 125
    assert result.err == "pytest-seccomp: error: true: write -- before the command that is to be recorded\n"
    result = command("record", "-q", "-o", out, "ls", "-d", "/")
    assert result.status == 125
    assert result.err == "pytest-seccomp: error: ls: write -- before the command that is to be recorded\n"
    result = command("record", "--", "true")
    assert (result.status, "required: -o/--output" in result.err) == (125, True)
    result = command("record", "-o", out, "--wait", "--", "true")
    assert (result.status, "unrecognized arguments: --wait" in result.err) == (125, True)
    result = command("record", "-o", tmp_path, "--", "true")
    assert (result.status, result.err.count("\n")) == (125, 1)
