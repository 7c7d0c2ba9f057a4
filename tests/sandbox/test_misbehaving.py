"""Programs that do their worst in a sandbox: pytest goes on, and what another sandbox did is known to the last call."""

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running import DEADLINE, VARIABLE, Process, until

from pytest_seccomp.linux.architecture import native
from pytest_seccomp.profile import names
from pytest_seccomp.profile.actions import Action
from pytest_seccomp.sandbox.popen import SandboxedPopen
from pytest_seccomp.sandbox.running import Completed, run
from pytest_seccomp.sandbox.sandboxes import Sandboxes
from pytest_seccomp.sandbox.streams import limit_waiting

pytestmark = pytest.mark.needs("listener")

BESIDE = "import os, sys\nprint('ready', flush=True)\nsys.stdin.read()\nfor _ in range(100): os.getppid()"

# 10 of them hop from process to process, each in a new session: never more than some at once, and none for long
HOPPING = """
import os
for _ in range(10):
    if not os.fork():
        while True:
            if os.fork():
                os._exit(0)
            os.setsid()
print("running", flush=True)
os.read(0, 1)
"""

BUSY = """
import os, sys, threading
def work():
    while True:
        os.getppid()
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
print("running", flush=True)
os.read(0, 1)
"""


# Up to 150 at once: root has no such limit, and so it takes another user
BOMB = """
import os, resource
resource.setrlimit(resource.RLIMIT_NPROC, (150, 150))
if os.getuid() == 0:
    os.setuid(64123)
print("running", flush=True)
while True:
    try:
        os.fork()
    except BlockingIOError:
        pass
"""

HOST = "int(open(f'/proc/{os.getppid()}/stat').read().rpartition(')')[2].split()[1])"


def stat(pid: int) -> list[str]:
    """State and parent of a process, and more."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def host_of(sandboxes: Sandboxes) -> int:
    """The socket to it."""
    assert sandboxes._control is not None
    return sandboxes._control.fileno()


class Box:
    """Sandboxes, and a mark by which all that runs in them is found."""

    def __init__(self, sandboxes: Sandboxes) -> None:
        self.token = uuid.uuid4().hex
        self.named: dict[str, Any] = {"sandboxes": sandboxes, "env": {**os.environ, VARIABLE: self.token}}

    def run(self, program: str, **named: Any) -> Completed:
        """Python to its end."""
        return run([sys.executable, "-I", "-S", "-c", program], **self.named, timeout=DEADLINE, **named)

    def start(self, program: str) -> SandboxedPopen:
        """Python, with pipes. Waits for its first line."""
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        process = SandboxedPopen([sys.executable, "-I", "-S", "-c", program], **self.named, **pipes)
        assert process.stdout is not None
        assert process.stdout.readline()
        return process

    def left(self) -> list[Process]:
        """What still runs."""
        return Process.all_with(self.token)


@pytest.fixture
def box(sandboxes: Sandboxes) -> Box:
    """The sandboxes of a test."""
    return Box(sandboxes)


@pytest.fixture
def beside(sandboxes: Sandboxes) -> Iterator[None]:
    """Another sandbox, in which a program does what it does before and after: all of it must be known."""
    with Box(sandboxes).start(BESIDE) as process:
        yield
        process.communicate("")
        assert process.returncode == 0
        assert process.complete
        assert process.syscalls["getppid"] == 100


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize("program", [HOPPING, BOMB, BUSY], ids=["hops", "forks", "calls"])
def test_what_never_ends_is_ended(box: Box, program: str) -> None:
    with box.start(program) as process:
        process.end()
        assert box.left() == []
        assert process.wait() == -signal.SIGKILL
    assert process.complete


@pytest.mark.usefixtures("beside")
def test_a_timeout_ends_all_of_it(box: Box) -> None:
    """Also what has left the process group."""
    command = ["/bin/sh", "-c", "sleep 1000 & setsid sleep 1000 & sleep 1000"]
    with pytest.raises(subprocess.TimeoutExpired):
        run(command, **box.named, timeout=0.5)
    assert box.left() == []


@pytest.mark.usefixtures("beside")
def test_a_flood_of_denials_is_counted(box: Box) -> None:
    policy = names.from_names(native(), Action.parse("errno:EPERM"), deny=["setpriority"])
    program = "import os\nfor n in range(5000):\n try: os.setpriority(0, n, 0)\n except PermissionError: pass"
    result = box.run(program, policy=policy)
    assert result.returncode == 0
    assert result.complete
    assert sum(denial.count for denial in result.denied) == 5000
    assert len(result.denied) == 1001  # each by itself, up to a limit


@pytest.mark.usefixtures("beside")
def test_descriptors_that_are_all_closed_are_none_of_ours(box: Box) -> None:
    result = box.run("import os\nos.closerange(0, 1 << 20)\nfor _ in range(100): os.getppid()\nos._exit(7)")
    assert result.returncode == 7
    assert result.complete
    assert result.syscalls["getppid"] == 100


@pytest.mark.usefixtures("beside")
def test_one_that_kills_its_parent_is_told_of(box: Box) -> None:
    program = "import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(1000)"
    result = box.run(program)
    assert result.returncode == -signal.SIGKILL
    assert not result.complete
    assert "the supervisor of the sandbox died" in result.told.reasons[0]
    until("its end", lambda: not box.left())


@pytest.mark.usefixtures("beside")
def test_one_that_kills_the_host_harms_nobody_else(box: Box) -> None:
    result = box.run(f"import os, signal\nos.kill({HOST}, signal.SIGKILL)\nfor _ in range(100): os.getppid()")
    assert result.returncode == 0
    assert result.complete
    assert result.syscalls["getppid"] == 101
    assert box.run("").complete  # by another host


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize("whom", ["os.getppid()", HOST], ids=["supervisor", "host"])
def test_one_that_stops_what_looks_after_it_is_ended(whom: str) -> None:
    sandboxes = Sandboxes()
    box = Box(sandboxes)
    stop = f"os.kill({whom}, signal.SIGSTOP)"
    program = f"import os, signal\nprint(7, flush=True)\n{stop}\nwhile True: os.getppid()"
    with box.start(program) as process:
        supervisor = stat(process.pid)[1]
        stopped = supervisor if whom != HOST else stat(int(supervisor))[1]
        until("the stop", lambda: stat(int(stopped))[0] == "T")
        # It never answers: that need not be waited for as long as for what is slow
        limit_waiting(host_of(sandboxes) if whom == HOST else process.sandbox._requests._descriptor, 100)
        process.end()
        assert process.wait() == -signal.SIGKILL
        assert process.complete == (whom == HOST)
    if whom == HOST:
        assert box.run("").complete  # by another host
    sandboxes.close()
    until("the end of all", lambda: not box.left())


@pytest.mark.usefixtures("beside")
def test_what_a_program_leaves_behind_ends_with_the_sandboxes(box: Box, sandboxes: Sandboxes) -> None:
    program = """
import os, time
if not os.fork():
    os.setsid()
    if not os.fork():
        os.closerange(0, 3)
        while True: time.sleep(0.001)
    os._exit(0)
os.wait()
"""
    assert box.run(program).complete
    assert len(box.left()) == 1
    (sandbox,) = [one for one in sandboxes.live() if one.argv[-1] == program]
    sandbox.end()
    assert box.left() == []
    assert sandbox.told().complete


def test_nothing_outlives_a_pytest_that_is_killed(box: Box) -> None:
    program = f"""
import os, signal, subprocess, sys
from pytest_seccomp.sandbox.popen import SandboxedPopen
from pytest_seccomp.sandbox.sandboxes import Sandboxes
hopping = {HOPPING!r}
process = SandboxedPopen([sys.executable, "-c", hopping], sandboxes=Sandboxes(), stdout=subprocess.PIPE)
process.stdout.readline()
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-I", "-c", program], env=box.named["env"], timeout=DEADLINE)
    assert killed.returncode == -signal.SIGKILL
    until("the end of all", lambda: not box.left())


@pytest.mark.usefixtures("beside")
def test_many_at_once(box: Box) -> None:
    results: list[Completed] = []
    program = "import os\nfor _ in range(100): os.getppid()"
    threads = [threading.Thread(target=lambda: results.append(box.run(program))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(one.returncode, one.complete, one.syscalls["getppid"]) for one in results] == [(0, True, 100)] * 8
