"""The threads of this process, and whether they are under its filters. Source: proc_pid_task(5), proc_pid_status(5)."""

import os
import threading

_TASKS = "/proc/self/task"


def under_fewer_filters() -> list[int]:
    """The ids of the threads that are under fewer seccomp filters than the calling one, such as those that were there
    before it installed its own; the oldest first. None before Linux 5.9, which does not say (Seccomp_filters)."""
    filters = {int(task): _filters(task) for task in os.listdir(_TASKS)}
    own = filters[threading.get_native_id()]
    return [task for task, count in filters.items() if count is not None and own is not None and count < own]


def names(tasks: list[int]) -> list[str]:
    """What threads are called in Python, or, where Python has not started them, by the kernel (proc_pid_comm(5))."""
    known = {thread.native_id: thread.name for thread in threading.enumerate()}
    return [known.get(task) or _comm(task) for task in tasks]


def _filters(task: str) -> int | None:
    try:
        with open(f"{_TASKS}/{task}/status", "rb") as file:
            for line in file:
                if line.startswith(b"Seccomp_filters:"):
                    return int(line.split()[1])
    except OSError:
        pass  # it has ended
    return None


def _comm(task: int) -> str:
    try:
        with open(f"{_TASKS}/{task}/comm", encoding="utf-8", errors="backslashreplace") as file:
            return file.read().rstrip("\n")
    except OSError:
        return "one that has ended"
