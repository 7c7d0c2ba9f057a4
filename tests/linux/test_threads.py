"""Threads that are under fewer filters than the one that asks."""

import subprocess
import sys

import pytest

from pytest_seccomp.linux import threads


@pytest.mark.needs("listener")
def test_those_that_were_there_before() -> None:
    """One by one, the oldest first; the next ones inherit it. Before it is installed there is no difference."""
    program = """if True:
        import _thread, threading
        from pytest_seccomp.linux import seccomp, threads

        lock = threading.Lock()
        lock.acquire()
        started = threading.Semaphore(0)

        def wait():
            started.release()
            lock.acquire()

        for name in ("first", "second"):
            threading.Thread(target=wait, name=name, daemon=True).start()
        _thread.start_new_thread(wait, ())
        for _ in range(3):
            started.acquire()
        before = threads.under_fewer_filters()
        seccomp.set_no_new_privs()
        seccomp.install(seccomp.verdict(seccomp.RET_ALLOW))
        threading.Thread(target=wait, name="later", daemon=True).start()
        found = threads.names(threads.under_fewer_filters())
        print(*found[:2], found[2] == open("/proc/self/comm").read().strip(), len(found), before)
    """
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "first second True 3 []\n"


def test_a_thread_that_has_ended_has_no_name() -> None:
    assert threads.names([2**22 + 1]) == ["one that has ended"]
