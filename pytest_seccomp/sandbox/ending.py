"""Ending all descendants of a process that adopts orphans, whatever they do meanwhile.

Whole process groups first: the kernel signals all members of a group at once, also those that fork at this moment
(kernel/fork.c, copy_process, looks for signals under the lock under which a group is signalled). So a bomb of forks
that stays in its group is gone with one call. What has left it is found by its parents, again and again until nobody
is left.
"""

import os
import signal
from collections.abc import Collection, Iterator

from pytest_seccomp.linux.proc import Processes


def end_descendants(spared: Collection[int] = ()) -> bool:
    """Kill all descendants of this process but some children and theirs; returns whether there was one. It is to be
    called again until there is none, and no child is waited for meanwhile.

    A descendant is in a group of this process's session, or in one that has been made below it: so in no other
    process's group but, perhaps, this one's own, which is spared.
    """
    own = os.getpid()
    processes = Processes()
    groups = {os.getpgrp()}
    found = False
    for pid in _children(processes, own):
        if pid in spared:
            continue
        found = True
        _end_group(pid, groups)
        _kill(pid)
        for descendant in _below(processes, pid):
            _end_group(descendant, groups)
    return found


def _below(processes: Processes, pid: int) -> Iterator[int]:
    """The descendants of a process, killed: each is looked at again once it cannot become another, for pids are reused.
    Its parent may end meanwhile: then it is a child, and its turn comes."""
    for child in processes.children(pid):
        try:
            descriptor = os.pidfd_open(child)
        except (AttributeError, OSError):
            continue  # it has ended; or there are no pidfds: then they become children, one generation after the other
        try:
            stat = processes.stat(child)
            if stat is not None and stat.parent == pid:
                yield child
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                yield from _below(processes, child)
        except OSError:
            pass  # it has ended
        finally:
            os.close(descriptor)


def _children(processes: Processes, pid: int) -> list[int]:
    """Also in a kernel that has no list of them."""
    listed = processes.children(pid)
    if listed:
        return listed
    return [one for one in processes.all() if (stat := processes.stat(one)) is not None and stat.parent == pid]


def _end_group(pid: int, groups: set[int]) -> None:
    try:
        group = os.getpgid(pid)
        if group not in groups:
            groups.add(group)
            os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # it has ended, or none of them is ours to signal


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # as above
