"""What belongs to a target, on real processes, in real cgroups and pid namespaces."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from cgroups import made_cgroup

from pytest_seccomp.linux import cgroup
from pytest_seccomp.linux.proc import Processes
from pytest_seccomp.linux.seccomp_record import NO_ID
from pytest_seccomp.recorder.scope import Scope

READING = [sys.executable, "-I", "-S", "-c", "input()"]
WAITING = [sys.executable, "-I", "-S", "-c", "print(flush=True); input()"]


def now_ms() -> int:
    return int(1000 * time.time())


def scope_in_which_no_time_passes() -> Scope:
    """It forgets nobody, however busy the machine is."""
    return Scope(clock=lambda: 1000.0)


PROGRAM = """
import subprocess, sys
if len(sys.argv) > 1:
    children = [subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE)]
else:
    command = [sys.executable, *sys.orig_argv[1:], "leaf"]
    children = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)]
    children[0].stdout.readline()
print(children[0].pid, flush=True)
input()
for child in children:
    child.communicate(b"\\n")
"""


@pytest.fixture
def family() -> "Iterator[subprocess.Popen[bytes]]":
    """A real process with a child and a grandchild."""
    command = [sys.executable, "-I", "-S", "-c", PROGRAM]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    yield child
    child.communicate(b"\n")


def descendants(pid: int) -> list[int]:
    children = Processes().children(pid)
    return children + [found for child in children for found in descendants(child)]


def test_descendants(family: "subprocess.Popen[bytes]") -> None:
    pids = [family.pid, *descendants(family.pid)]
    assert len(pids) == 3
    scope = Scope()
    scope.add(family.pid)
    assert [scope.holds(pid, now_ms(), NO_ID) for pid in pids] == [True] * 3
    assert [scope.holds(pid, now_ms(), NO_ID) for pid in (os.getpid(), os.getppid(), 1)] == [False] * 3
    scope.remove(family.pid)
    scope.add(pids[1])
    assert [scope.holds(pid, now_ms(), NO_ID) for pid in pids] == [False, True, True]


def test_a_process_that_starts_and_is_denied_at_once_is_not_older_than_itself() -> None:
    """The clocks are set right: its record has about the time of its start. On a busy machine that is not always about
    the time at which it was asked for."""
    scope = Scope()
    scope.add(os.getpid())
    started_at_once = 0
    while started_at_once < 5:
        before = now_ms()
        child = subprocess.Popen(READING, stdin=subprocess.PIPE)
        if now_ms() - before < 80:
            started_at_once += 1
            assert scope.holds(child.pid, before, NO_ID) is True
        child.communicate()


def test_a_child_that_has_ended() -> None:
    scope = scope_in_which_no_time_passes()
    scope.add(os.getpid())
    child = subprocess.Popen(READING, stdin=subprocess.PIPE)
    scope.refresh()
    child.communicate()
    assert scope.holds(child.pid, now_ms(), NO_ID) is True


@pytest.mark.needs("cgroup")
def test_members_of_a_cgroup() -> None:
    target = subprocess.Popen(READING, stdin=subprocess.PIPE)
    with made_cgroup() as outer, outer.child() as inner, outer.process() as first:
        scope = scope_in_which_no_time_passes()
        scope.add(target.pid, cgroup.find(str(outer.folder)))
        with inner.process() as second, inner.process() as third:
            scope.refresh()
            third.communicate()
            pids = [target.pid, first.pid, second.pid, third.pid]
            assert [scope.holds(pid, now_ms(), NO_ID) for pid in pids] == [True] * 4
        assert scope.holds(os.getpid(), now_ms(), NO_ID) is False
    target.communicate()


@pytest.mark.needs("mount")
def test_members_of_a_pid_namespace() -> None:
    """Also one that has entered it from outside, as `docker exec` does."""
    command = [
        "unshare",
        "--pid",
        "--fork",
        "--kill-child",
        sys.executable,
        "-I",
        "-S",
        "-c",
        "print(flush=True); input()",
    ]
    outside = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert outside.stdout is not None
    outside.stdout.readline()
    (first,) = Processes().children(outside.pid)
    enter = [
        "nsenter",
        "--pid",
        f"--target={first}",
        sys.executable,
        "-I",
        "-S",
        "-c",
        "print(flush=True); input()",
    ]
    entering = subprocess.Popen(enter, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert entering.stdout is not None
    entering.stdout.readline()
    (entered,) = Processes().children(entering.pid)
    scope = Scope()
    scope.add(first)
    assert [scope.holds(pid, now_ms(), NO_ID) for pid in (first, entered)] == [True] * 2
    assert [scope.holds(pid, now_ms(), NO_ID) for pid in (outside.pid, entering.pid)] == [False] * 2
    entering.communicate()
    outside.communicate()
