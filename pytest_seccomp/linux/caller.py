"""Whose system call it is that waits for a supervisor's answer, as /proc shows it meanwhile.

No ctypes here: the recorder uses this file. Sources: proc_pid_status(5), proc_pid_comm(5), proc_pid_exe(5).
"""

import os

ROOT = "/proc"

Caller = tuple[int, bytes, bytes | None]
"""The process's pid, the thread's name, and the path of the executable, None where there is none to be had."""


def caller(thread: int) -> Caller:
    """Of a thread, by its id in this process's pid namespace. Where the thread has ended meanwhile, its answer finds
    nobody, and that it may be another's by now is found out so."""
    folder = f"{ROOT}/{thread}"
    pid, name = thread, b""
    for line in _read(f"{folder}/status").splitlines():
        if line.startswith(b"Tgid:"):
            pid = int(line[5:])
            break
    name = _read(f"{folder}/comm").removesuffix(b"\n")
    try:
        return pid, name, os.readlink(os.fsencode(f"{folder}/exe"))
    except OSError:
        return pid, name, None  # of another user, or of a process that may not be looked at


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError:
        return b""
