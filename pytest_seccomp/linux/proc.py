"""Other processes, as /proc shows them: parents, children, namespaces, when they were started.

What is asked of a process that has ended, or that is not ours to look at, has no answer. Source: proc(5) and the pages
named below.
"""

import os

ROOT = "/proc"

INITIAL_PID_NAMESPACE = 0xEFFFFFFC
"""The inode of the initial pid namespace (include/linux/proc_ns.h, PROC_PID_INIT_INO)."""


class Stat:
    """What a process hands down and what tells it from another with its pid; from proc_pid_stat(5)."""

    __slots__ = ("parent", "start")

    def __init__(self, parent: int, start: int) -> None:
        self.parent = parent
        """The process that started it, or has adopted it; 0 where it is none of this pid namespace."""
        self.start = start
        """When it was started, in clock ticks since the boot."""


class Processes:
    """The processes of a pid namespace."""

    def __init__(self, root: str = ROOT) -> None:
        self._root = root

    def stat(self, pid: int) -> Stat | None:
        """Who started it, and when; None where there is no such process. A zombie is one."""
        # The second field is the name in parentheses and may hold anything, parentheses too
        fields = self._read(f"{pid}/stat").rpartition(b")")[2].split()
        return Stat(int(fields[1]), int(fields[19])) if len(fields) > 19 else None

    def children(self, pid: int) -> list[int]:
        """Those of all its threads that are there now. Where one ends meanwhile, others may be left out
        (proc_tid_children(5)); empty in a kernel without CONFIG_PROC_CHILDREN."""
        found: list[int] = []
        for thread in self._numbers(f"{pid}/task"):
            found += [int(child) for child in self._read(f"{pid}/task/{thread}/children").split()]
        return found

    def all(self) -> list[int]:
        """All that there are now."""
        return self._numbers("")

    def pid_namespace(self, pid: int) -> int | None:
        """The inode of its pid namespace (proc_pid_ns(5)). A zombie has one."""
        try:
            link = os.readlink(f"{self._root}/{pid}/ns/pid")
        except OSError:
            return None
        return int(link.removeprefix("pid:[").removesuffix("]"))

    def cgroup(self, pid: int) -> bytes | None:
        """The path of its cgroup in the hierarchy of version 2 (proc_pid_cgroup(5)), as `cgroup.Cgroup` has it."""
        for line in self._read(f"{pid}/cgroup").splitlines():
            if line.startswith(b"0::"):
                return line[3:].removesuffix(b" (deleted)")
        return None

    def audit_session(self, pid: int) -> int | None:
        """Its audit session id, seccomp_record.NO_ID where it has none (proc_pid_sessionid(5))."""
        text = self._read(f"{pid}/sessionid")
        return int(text) if text else None

    def _numbers(self, folder: str) -> list[int]:
        try:
            return [int(name) for name in os.listdir(f"{self._root}/{folder}") if name.isdigit()]
        except OSError:
            return []

    def _read(self, path: str) -> bytes:
        try:
            with open(f"{self._root}/{path}", "rb", buffering=0) as file:
                return file.read()
        except OSError:
            return b""  # ended, or somebody else's under hidepid


def in_initial_pid_namespace() -> bool:
    """Whether pids here are those that the kernel's log has."""
    try:
        return os.stat(f"{ROOT}/self/ns/pid").st_ino == INITIAL_PID_NAMESPACE
    except OSError:
        return False  # /proc is that of another namespace, or there is none
