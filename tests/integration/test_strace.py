"""A trace against strace's, call for call."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import strace
from compiled import family, static_program
from traced import Line, Suite

from pytest_seccomp.recorder import labels

pytestmark = [pytest.mark.needs("listener"), pytest.mark.needs("strace")]

PROGRAMS = {
    "ls": ["/bin/ls", "-la", "/"],
    "python": [sys.executable, "-I", "-S", "-c", "import os; os.listdir('/'); open('/dev/null').close()"],
    "a pipeline": ["/bin/sh", "-c", "/bin/true | /bin/true | /bin/cat; /bin/true"],
    "a shell of a shell": ["/bin/sh", "-c", "sh -c 'exec /bin/true' && (cd / && /bin/true) && test -e /"],
    "a failing program": ["/bin/sh", "-c", "ls /nowhere 2>/dev/null; true"],
}


ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}


def numbers(line: Line, phase: str | None = None) -> Counter[int]:
    """Calls by number; of a phase, or of all."""
    counts: Counter[int] = Counter()
    for entry in line.members["syscalls"]:
        count = entry["count"] if phase is None else entry["phases"].get(phase, 0)
        if count:
            counts[entry["syscall"]] = count
    return counts


def test_a_whole_run(suite: Suite) -> None:
    """Every phase of every test, and the collection, in a run that strace watches."""
    suite.write("markers.py", strace.MARKERS)
    programs = "\n".join(
        f"    def test_program_{index}():\n        subprocess.run({command!r}, stdout=subprocess.DEVNULL)\n"
        for index, command in enumerate(PROGRAMS.values())
    )
    suite.write(
        "test_programs.py",
        f"""
    import os, subprocess, threading
    import pytest

    @pytest.fixture(scope="module")
    def module():
        os.listdir("/")
        yield
        os.listdir("/usr")

    @pytest.fixture
    def own():
        os.stat("/")
        yield
        os.stat("/usr")

    {programs.strip()}

    def test_empty():
        pass

    def test_loop(module, own):
        for _ in range(100):
            os.getppid()

    def test_files(module, tmp_path):
        for number in range(10):
            (tmp_path / str(number)).write_text("text")

    def test_fork(own):
        pid = os.fork()
        if not pid:
            os.execv("/bin/true", ["true"])
        os.waitpid(pid, 0)
    """,
    )
    log = suite.folder.parent / "log"
    command = ["strace", *strace.OPTIONS, str(log)]
    trace = suite.trace("-p", "no:cacheprovider", plugins=["markers"], before=command)
    calls = strace.read(log)
    seen, restarted = strace.by_label(calls), strace.by_label(calls, restarted=True)

    assert numbers(trace.collections[0]) == seen[labels.COLLECTION]
    base = labels.FIRST_TEST
    for test in trace.tests:
        for offset, phase in enumerate(labels.PHASES):
            counted, expected = numbers(test, phase), seen.get(base + offset, Counter())
            assert counted <= expected, (test.nodeid, phase)
            assert expected - counted <= restarted.get(base + offset, Counter()), (test.nodeid, phase)
        base = labels.next_base(base)
    assert base == labels.next_base(max(seen) // len(labels.PHASES) * len(labels.PHASES))
    assert sum(numbers(trace.test("test_program_2")).values()) > 100


@pytest.fixture
def spawning(suite: Suite) -> Suite:
    """A suite whose test starts one program; the C library does that in the same way for all."""
    suite.write("environment.json", json.dumps(ENVIRONMENT))
    suite.write(
        "test_spawn.py",
        """
        import json, os, pathlib, pytest, signal

        PROGRAMS = json.loads(pathlib.Path("programs.json").read_text())

        @pytest.mark.parametrize("argv", PROGRAMS, ids=map(str, range(len(PROGRAMS))))
        def test_spawn(argv):
            nowhere = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
            ignored = [signal.SIGPIPE, signal.SIGXFSZ]  # by Python
            environment = json.loads(pathlib.Path("environment.json").read_text())
            pid = os.posix_spawn(argv[0], argv, environment, file_actions=nowhere, setsigdef=ignored)
            os.waitpid(pid, 0)
        """,
    )
    return suite


@pytest.mark.needs("c-compiler")
def test_single_programs(spawning: Suite, tmp_path: Path) -> None:
    """A test that starts a program, less what starting costs, against `strace -f program` without pytest.

    Two runs of a program are compared, so it must be one whose calls do not vary: no shell, whose SIGCHLD comes when it
    comes and once for two children, and no Python, in which the C library's heap grows by one brk more or less.
    """
    programs = [static_program(tmp_path, calls=0), family(tmp_path), static_program(tmp_path, calls=7)]
    commands = [[str(program)] for program in programs]
    commands.insert(1, PROGRAMS["ls"])
    spawning.write("programs.json", json.dumps(commands))
    trace = spawning.trace()
    spawned = [numbers(trace.test(f"test_spawn[{index}]"), "call") for index in range(len(commands))]
    alone = [strace_alone(command, tmp_path / "log", spawning) for command in commands]

    start = spawned[0] - alone[0]
    assert sum(alone[0].values()) == 2  # execve and exit: the rest is what starting costs
    for command, with_start, expected in zip(commands, spawned, alone, strict=True):
        assert with_start - start == expected, command


def strace_alone(command: list[str], log: Path, suite: Suite) -> Counter[int]:
    """Calls by number of a command that strace runs, with the same streams, environment and signals."""
    subprocess.run(
        ["strace", *strace.OPTIONS, str(log), *command],
        cwd=suite.folder,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return Counter(call.number for call in strace.read(log))
