"""What a program would inherit if pytest started it itself, and what pytest's threads and tests may have changed: it is
looked up when the program starts, in the thread that starts it.

Not namespaces, a chroot, or a personality that a test gives its own process: those are as they were when the first
sandbox was started. Sources: proc_pid_status(5), fork(2), execve(2).
"""

import os
import resource
import signal

_NAME_WIDTH = 25  # fs/proc/base.c, proc_pid_limits

_LIMITS = {
    "Max cpu time": resource.RLIMIT_CPU,
    "Max file size": resource.RLIMIT_FSIZE,
    "Max data size": resource.RLIMIT_DATA,
    "Max stack size": resource.RLIMIT_STACK,
    "Max core file size": resource.RLIMIT_CORE,
    "Max resident set": resource.RLIMIT_RSS,
    "Max processes": resource.RLIMIT_NPROC,
    "Max open files": resource.RLIMIT_NOFILE,
    "Max locked memory": resource.RLIMIT_MEMLOCK,
    "Max address space": resource.RLIMIT_AS,
    "Max pending signals": resource.RLIMIT_SIGPENDING,
    "Max msgqueue size": resource.RLIMIT_MSGQUEUE,
    "Max nice priority": resource.RLIMIT_NICE,
    "Max realtime priority": resource.RLIMIT_RTPRIO,
    "Max realtime timeout": resource.RLIMIT_RTTIME,
}

_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)
"""Ignored by Python, unless a program is to have them restored (subprocess, `restore_signals`)."""


class Inherited:
    """What a thread hands down. Raises OSError where it may not be looked at."""

    def __init__(self, process: int, thread: int) -> None:
        folder = f"/proc/{process}/task/{thread}"
        self._cwd = f"{folder}/cwd"
        with open(f"{folder}/status", "rb") as file:
            fields = dict(line.split(b":", 1) for line in file.read().splitlines() if b":" in line)
        self._ignored = int(fields[b"SigIgn"], 16)
        self._blocked = int(fields[b"SigBlk"], 16)
        self._umask = int(fields[b"Umask"], 8) if b"Umask" in fields else None
        self._uids = tuple(map(int, fields[b"Uid"].split()[:3]))
        self._gids = tuple(map(int, fields[b"Gid"].split()[:3]))
        self._groups = list(map(int, fields[b"Groups"].split()))
        self._affinity = os.sched_getaffinity(thread)
        self._nice = os.getpriority(os.PRIO_PROCESS, thread)
        self._limits = _limits(process)

    def enter_folder(self) -> None:
        """Have the working directory. Raises OSError."""
        os.chdir(self._cwd)

    def set_umask(self) -> None:
        """Have the file mode creation mask."""
        if self._umask is not None:
            os.umask(self._umask)

    def set_dispositions(self, restore: bool) -> None:
        """Ignore the signals that are ignored, and no other; with `restore`, none of those that Python ignores."""
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            ignored = self._ignored >> (number - 1) & 1 and not (restore and number in _RESTORED)
            signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)

    def set_mask(self) -> None:
        """Block the signals that are blocked: the last thing to do."""
        signal.pthread_sigmask(signal.SIG_SETMASK, [n for n in signal.valid_signals() if self._blocked >> (n - 1) & 1])

    def set_scheduling(self) -> None:
        """Have the niceness and the processors. Raises OSError."""
        if os.sched_getaffinity(0) != self._affinity:
            os.sched_setaffinity(0, self._affinity)
        if os.getpriority(os.PRIO_PROCESS, 0) != self._nice:
            os.setpriority(os.PRIO_PROCESS, 0, self._nice)

    def set_limits(self) -> None:
        """Have the resource limits. Raises OSError."""
        for number, limits in self._limits.items():
            if resource.getrlimit(number) != limits:
                resource.setrlimit(number, limits)

    def become_user(self) -> None:
        """Have the users and groups, which a test can change as root. Raises OSError."""
        if sorted(os.getgroups()) != sorted(self._groups):
            os.setgroups(self._groups)
        if os.getresgid() != self._gids:
            os.setresgid(*self._gids)
        if os.getresuid() != self._uids:
            os.setresuid(*self._uids)


def _limits(process: int) -> dict[int, tuple[int, int]]:
    """The resource limits of a process, soft and hard. Not by prlimit(2), which asks for CAP_SYS_RESOURCE where a test
    has become another user."""
    with open(f"/proc/{process}/limits", "rb") as file:
        lines = file.read().splitlines()[1:]
    found = {}
    for line in lines:
        name = line[:_NAME_WIDTH].rstrip().decode()
        soft, hard, *_ = line[_NAME_WIDTH:].split()
        if name in _LIMITS:
            found[_LIMITS[name]] = _limit(soft), _limit(hard)
    return found


def _limit(text: bytes) -> int:
    return resource.RLIM_INFINITY if text == b"unlimited" else int(text)
