"""What /proc says of other processes: of real ones."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from running import until

from pytest_seccomp.linux import proc
from pytest_seccomp.linux.proc import Processes

PROCESSES = Processes()


def test_the_parent_and_the_start() -> None:
    own = PROCESSES.stat(os.getpid())
    assert own is not None
    assert own.parent == os.getppid()
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE)
    stat = PROCESSES.stat(child.pid)
    assert stat is not None
    assert stat.parent == os.getpid()
    assert stat.start >= own.start
    again = PROCESSES.stat(child.pid)
    assert again is not None
    assert again.start == stat.start
    child.communicate()


def test_the_start_is_in_ticks_since_the_boot() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    child = subprocess.Popen(["true"])
    after = time.clock_gettime(time.CLOCK_BOOTTIME)
    stat = PROCESSES.stat(child.pid)
    assert stat is not None
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert before - tick <= stat.start * tick <= after
    child.wait()


@pytest.mark.parametrize("name", [b"a) R 1 (b", b") ) )", b"(", b"\n", b" "])
def test_a_name_that_looks_like_fields(name: bytes) -> None:
    program = "open('/proc/self/comm', 'wb').write(bytes.fromhex(__import__('sys').argv[1])); print(); input()"
    command = [sys.executable, "-I", "-S", "-c", program, name.hex()]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    assert name in Path(f"/proc/{child.pid}/stat").read_bytes()
    stat = PROCESSES.stat(child.pid)
    assert stat is not None
    assert stat.parent == os.getpid()
    child.communicate()


def test_a_process_that_has_ended() -> None:
    child = subprocess.Popen(["true"])
    until("a zombie", lambda: " Z " in Path(f"/proc/{child.pid}/stat").read_text())
    stat = PROCESSES.stat(child.pid)
    assert stat is not None
    assert stat.parent == os.getpid()
    assert PROCESSES.pid_namespace(child.pid) == PROCESSES.pid_namespace(os.getpid())
    assert child.pid in PROCESSES.children(os.getpid())
    child.wait()
    assert PROCESSES.stat(child.pid) is None
    assert PROCESSES.children(child.pid) == []
    assert PROCESSES.pid_namespace(child.pid) is None
    assert PROCESSES.cgroup(child.pid) is None
    assert PROCESSES.audit_session(child.pid) is None


def test_children_of_all_threads() -> None:
    """A thread's own children, and those of a thread that has ended."""
    program = """
import os, subprocess, sys, threading, time
pids = []
def start():
    pids.append(subprocess.Popen(["sleep", "100"], stdout=subprocess.DEVNULL).pid)
def start_and_stay():
    start(); ready.set(); done.wait()
ready, done = threading.Event(), threading.Event()
thread = threading.Thread(target=start); thread.start(); thread.join()
while len(os.listdir("/proc/self/task")) > 1:  # its child is still its own
    time.sleep(0.001)
thread = threading.Thread(target=start_and_stay); thread.start(); ready.wait()
start()
print(*pids, flush=True)
input()
for pid in pids:
    os.kill(pid, 9)
done.set()
"""
    child = subprocess.Popen([sys.executable, "-I", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    started = [int(pid) for pid in child.stdout.readline().split()]
    assert len(started) == 3
    assert sorted(PROCESSES.children(child.pid)) == sorted(started)
    assert {*started, child.pid, os.getpid()} <= set(PROCESSES.all())
    child.communicate(b"\n")


def test_namespace_cgroup_and_session_of_this_process() -> None:
    assert PROCESSES.pid_namespace(os.getpid()) == os.stat("/proc/self/ns/pid").st_ino
    assert PROCESSES.audit_session(os.getpid()) == int(Path("/proc/self/sessionid").read_text())
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    assert PROCESSES.cgroup(os.getpid()) == next((line[3:].encode() for line in lines if line.startswith("0::")), None)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("0::/a b/c\n", b"/a b/c"),
        ("9:name=systemd:/other\n1:cpu:/0::/no\n0::/\n", b"/"),
        ("0::/gone (deleted)\n", b"/gone"),
        ("1:cpu:/\n", None),
        ("", None),
    ],
)
def test_the_cgroup_of_version_2(tmp_path: Path, text: str, path: bytes | None) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cgroup").write_text(text)
    assert Processes(str(tmp_path)).cgroup(7) == path


@pytest.mark.needs("mount")
def test_another_pid_namespace() -> None:
    program = """
import os, sys
from pytest_seccomp.linux import proc
print(proc.in_initial_pid_namespace(), proc.Processes().pid_namespace(os.getpid()) == proc.INITIAL_PID_NAMESPACE)
"""
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


@pytest.mark.needs("audit")
def test_this_pid_namespace_is_the_initial_one() -> None:
    """For whoever has CAP_AUDIT_CONTROL in it the kernel answers, and only in the initial one."""
    assert proc.in_initial_pid_namespace()
    assert PROCESSES.pid_namespace(os.getpid()) == proc.INITIAL_PID_NAMESPACE
