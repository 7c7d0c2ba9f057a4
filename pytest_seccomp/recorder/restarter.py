"""Having calls made again that a signal has interrupted before the recorder had received them.

Until then the kernel lets a signal interrupt any call, and where the signal's handler lacks SA_RESTART the call gives
EINTR, also one that never does: programs fail at it, and glibc ends them where it is a futex. No flag of seccomp
prevents it, but a tracer can (`linux/restarting`): the handler runs first and the call is made after it, as if the
signal had come a moment earlier. A call that may wait by itself is left alone: it may give EINTR at any time, and its
program may count on it.

A process of ours does that, for one process of the run and its threads. Other processes cannot trace that one
meanwhile, and it can find out that it is traced (TracerPid in /proc/PID/status): so it is done only while a timer of
the process is about to send signals.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` and `socket` cost 13 ms at start
import os

from pytest_seccomp.linux.process import close_descriptors
from pytest_seccomp.recorder import standby

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from pytest_seccomp.linux.ptrace import Stop
    from pytest_seccomp.linux.restarting import Restarting


def start(process: int) -> int | None:
    """Have interrupted calls of a process made again from now on; returns the pid of the child that does it, and that
    ends with the process. None where it is not possible: on another machine than x86-64 and aarch64, where ptrace is
    refused, as by Yama (ptrace(2), /proc/sys/kernel/yama/ptrace_scope), or where there cannot be another process.
    When the child is killed, the kernel lets go of what it traced."""
    # 20 ms, once; after the fork it would be each time
    from pytest_seccomp.linux import restarting

    here = restarting.here()
    if here is None:
        return None
    try:
        reading, writing = os.pipe()
    except OSError:  # EMFILE
        return None
    try:
        pid = os.fork()
    except OSError:  # EAGAIN: there are as many processes as there may be
        os.close(reading)
        os.close(writing)
        return None
    if not pid:
        try:
            _run(here, process, writing)
        finally:
            os._exit(0)
    os.close(writing)
    started = os.read(reading, 1)
    os.close(reading)
    return pid if started else None  # then it has ended, and is waited for with the other children


def _run(here: Restarting, process: int, started: int) -> None:
    from pytest_seccomp.linux import ptrace

    _signal.signal(standby.WAKE_SIGNAL, _signal.SIG_IGN)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    close_descriptors([started], first=3)
    _seize_all(process)
    os.write(started, b"1")
    os.close(started)
    while (found := ptrace.wait_for_any()) is not None:
        tid, stop = found
        try:
            _let_go_on(here, tid, stop)
        except ProcessLookupError:
            pass  # killed meanwhile


def _let_go_on(here: Restarting, tid: int, stop: Stop) -> None:
    from pytest_seccomp.linux import ptrace

    if stop.is_of_the_process:
        ptrace.leave_stopped(tid)
    elif not stop.passed_on or (stop.signal == _signal.SIGTRAP and here.is_in_handler(tid)):
        ptrace.resume(tid)
    elif _is_to_be_stopped(here, tid):
        ptrace.step(tid, stop.passed_on)
    else:
        ptrace.resume(tid, stop.passed_on)


def _is_to_be_stopped(here: Restarting, tid: int) -> bool:
    try:
        return here.before_signal(tid)
    except OSError:
        return False  # its memory may not be read: it goes on with what it has


def _seize_all(process: int) -> None:
    """Trace all threads of a process. Raises OSError where its first one cannot be."""
    from pytest_seccomp.linux import ptrace

    ptrace.seize(process, ptrace.FOLLOW_THREADS)
    seized, found = {process}, {process}
    while found:  # those that others have started meanwhile
        found = {int(tid) for tid in os.listdir(f"/proc/{process}/task")} - seized
        for tid in found:
            try:
                ptrace.seize(tid, ptrace.FOLLOW_THREADS)
            except OSError:
                pass  # it has ended, or was followed to
        seized |= found
