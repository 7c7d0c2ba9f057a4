"""What becomes of a watch where its watcher, the sentinel, or pytest itself ends or stops, or closes what is ours."""

import os
import signal
from pathlib import Path

import pytest
from running import Process, until
from watched import Program, run, spooled, started

from pytest_seccomp.linux.architecture import native
from pytest_seccomp.recorder import watching
from pytest_seccomp.recorder.detached import CONTROL


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def sentinel(made: Program) -> Process:
    """Of a program with a watch."""
    watcher, found = made.helpers()
    assert found.parent == watcher.pid
    return found


@pytest.mark.needs("audit")
def test_the_watcher_is_killed(spool: Path) -> None:
    program = """
    w.phase('"t.py::a"', "call", 0)
    pause()
    seen = w.sync()
    assert seen == watch.Seen([], False, [watching.DIED]), seen
    assert not w.alive
    w.phase('"t.py::b"', "call", 0)
    assert w.sync() == seen == w.finish()
    w.write("x")
    assert not w.close_spool([])
    try:
        w.add(os.getpid())
    except RecorderError as error:
        print(error)
    w.merged()
    w.close()
    """
    with started(program, spool) as made:
        made.wait()
        os.kill(made.helpers()[0].pid, signal.SIGKILL)
        made.go_on()
        assert made.finish() == [watching.DIED]
        made.expect_nothing_left()
    assert spooled(spool) == []


@pytest.mark.needs("audit")
def test_the_watcher_is_stopped(spool: Path) -> None:
    """Nobody waits for it without end, nor does it stay when it is continued."""
    program = """
    watch._ANSWER_SECONDS = 1
    w = watch.start(settings(session.own_session()))
    pause()
    silent = watch.Seen([], False, [watching.SILENT])
    print(w.sync() == silent, w.sync() == silent)
    """
    with started(program, spool, watched=False) as made:
        made.wait()
        watcher = made.helpers()[0].pid
        os.kill(watcher, signal.SIGSTOP)
        made.go_on()
        assert made.finish() == ["True True"]
        os.kill(watcher, signal.SIGCONT)
        made.expect_nothing_left()
    assert spooled(spool)[-1]["complete"] is False


@pytest.mark.needs("audit")
def test_the_sentinel_is_killed(spool: Path) -> None:
    """Another one takes its place, and proves as much."""
    program = """
    for _ in range(3):
        pause()
        pid, call = denying.child()
        seen = w.sync()
        print(told(seen) == [(pid, call, "errno", 1)], seen.complete)
    """
    pids = set()
    with started(program, spool) as made:
        for _ in range(3):
            made.wait()
            pids.add(sentinel(made).pid)
            os.kill(sentinel(made).pid, signal.SIGKILL)
            made.go_on()
        assert made.finish() == ["True True"] * 3
        made.expect_nothing_left()
    assert len(pids) == 3


@pytest.mark.needs("audit")
def test_the_sentinel_is_stopped(spool: Path) -> None:
    """What came is told, that it is all is not proved. The next sync has another sentinel, which is not waited for as
    long: where the machine is too busy for it, the one after that."""
    program = """
    pause()
    pid, call = denying.child()
    first = w.sync()
    while not (second := w.sync()).complete:
        pass
    print(told(first) == [(pid, call, "errno", 1)], first.complete, first.reasons)
    print(second)
    print(w.close_spool([]))
    """
    reason = "the kernel's log (audit) does not come: no record of a call made now within 2 s"
    with started(program, spool) as made:
        made.wait()
        os.kill(sentinel(made).pid, signal.SIGSTOP)
        made.go_on()
        assert made.finish() == [f'True False ["{reason}"]', "Seen(denials=[], complete=True, reasons=[])", "False"]
        made.expect_nothing_left()
    assert spooled(spool)[1:] == [{"kind": "end", "complete": False, "reasons": [reason]}]


@pytest.mark.needs("audit")
@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", -9),
        ("os._exit(3)", 3),
        ("denying.install(logged.KILL_PROCESS, 0x20001234); denying.call(0x20001234)", -31),
    ],
)
def test_pytest_ends_without_a_word(spool: Path, end: str, status: int) -> None:
    """The watcher writes what was not judged, with the phase that was told last, and the end."""
    program = f"""
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    w.phase('"t.py::a"', "setup", 0)
    denying.child()
    w.sync()
    w.write('{{"judged":1}}')
    w.phase('"t.py::\\\\ud800"', "call", 2)
    pid, call = denying.child(times=2, name="fünf")
    print(os.getpid(), pid, call, flush=True)
    {end}
    """
    with started(program, spool) as made:
        own, pid, call = map(int, made.finish(status)[0].split())
        made.expect_nothing_left()
    judged, denial, *others, last = spooled(spool)
    assert judged == {"judged": 1}
    expected = {
        "kind": "denial",
        "nodeid": "t.py::\ud800",
        "phase": "call",
        "rerun": 2,
        "worker": None,
        "arch": native().audit_arch,
        "syscall": call,
        "count": 2,
        "action": "errno",
        "errno": None,
        "pid": pid,
        "comm": "fünf",
        "exe": denial["exe"],
        "args": None,
        "source": "audit",
        "expected": False,
    }
    assert denial == expected
    assert list(denial) == list(expected)
    assert [(one["pid"], one["action"]) for one in others] == ([(own, "kill_process")] if status == -31 else [])
    reasons = [f"pytest (process {own}) ended before its session did"]
    assert last == {"kind": "end", "complete": False, "reasons": reasons}


@pytest.mark.needs("audit")
def test_pytest_ends_when_it_was_told_and_before_it_has_judged(spool: Path) -> None:
    """With the phase in which it was told."""
    program = """
    w.phase('"t.py::a"', "setup", 0)
    denying.child()
    w.sync()
    w.phase('"t.py::a"', "call", 1)
    denying.child(logged.KILL_PROCESS)
    w.sync()
    os.kill(os.getpid(), 9)
    """
    with started(program, spool) as made:
        made.finish(-9)
        made.expect_nothing_left()
    *denials, last = spooled(spool)
    found = [(one["phase"], one["rerun"], one["action"]) for one in denials]
    assert found == [("setup", 0, "errno"), ("call", 1, "kill_process")]
    assert last["complete"] is False


@pytest.mark.needs("audit")
def test_what_was_told_and_never_judged(spool: Path) -> None:
    """As where a plugin breaks the session off."""
    program = """
    w.phase('"t.py::a"', "call", 0)
    denying.child()
    w.sync()
    w.write('{"judged":1}')
    denying.child(logged.KILL_PROCESS)
    w.finish()
    print(w.close_spool([]))
    """
    assert run(program, spool) == ["True"]
    judged, denial, end = spooled(spool)
    assert (judged, denial["action"], end["complete"]) == ({"judged": 1}, "kill_process", True)


@pytest.mark.needs("audit")
def test_pytest_ends_and_a_child_of_its_own_does_not(spool: Path) -> None:
    """Which holds the other end of the connection, and a sentinel that is stopped: nobody waits for either."""
    program = """
    pid = os.fork()
    if not pid:
        time.sleep(100)
    w.phase('"t.py::a"', "call", 0)
    pause()
    os.kill(os.getpid(), 9)
    """
    with started(program, spool) as made:
        made.wait()
        os.kill(sentinel(made).pid, signal.SIGSTOP)
        made.go_on()
        until("the end of the watcher", lambda: not made.helpers())
        assert made.process.wait() == -9
    assert spooled(spool)[-1]["complete"] is False


@pytest.mark.needs("audit")
@pytest.mark.parametrize("merged", [False, True])
def test_who_merges(spool: Path, merged: bool) -> None:
    """The watcher has the spools merged if pytest does not come to that, and not if it did."""
    program = f"""
    salvage = ["/bin/sh", "-c", f"cp {{sys.argv[1]}} {{sys.argv[1]}}.merged"]
    w = watch.start(settings(session.own_session(), salvage=salvage))
    assert w.finish().complete
    assert w.close_spool([])
    if {merged}:
        w.merged()
        w.sync()
    os.kill(os.getpid(), 9)
    """
    copy = spool.with_name(spool.name + ".merged")
    with started(program, spool, watched=False) as made:
        made.finish(-9)
        if not merged:  # before what is left is looked for: in an exec it cannot be told whose a process is
            until("what was merged", lambda: copy.exists() and copy.stat().st_size)
            assert spooled(copy) == [{"kind": "end", "complete": True, "reasons": []}]
        made.expect_nothing_left()
    assert copy.exists() is not merged


@pytest.mark.needs("audit")
def test_who_keeps_watch_for_a_controller(spool: Path) -> None:
    """Checks that the kernel's log can be read, reads none, and merges."""
    program = """
    salvage = ["/bin/sh", "-c", f"echo merged > {sys.argv[1]}"]
    w = watch.start(settings(spool=None, salvage=salvage))
    print(w.source)
    nothing = watch.start(settings(spool=None, sources=(), salvage=None))
    print(repr(nothing.source), nothing.notes, nothing.sync().complete)
    pause()
    os.kill(os.getpid(), 9)
    """
    with started(program, spool, watched=False) as made:
        made.wait()
        assert len(made.helpers()) == 2
        made.go_on()
        assert made.finish(-9) == ["audit", "'supervised' [] True"]  # that nobody asks for is nothing that is missing
        until("what was merged", lambda: spool.exists() and spool.read_text() == "merged\n")
        made.expect_nothing_left()


@pytest.mark.needs("audit")
def test_descriptors_that_the_code_under_test_closes(spool: Path) -> None:
    program = """
    w.phase('"t.py::a"', "call", 0)
    denying.child()
    os.closerange(3, 4096)
    print(w.sync() == watch.Seen([], False, [watching.CLOSED]), w.alive)
    w.close()
    pause()
    """
    with started(program, spool) as made:
        made.wait()
        connection = Path(f"/proc/{made.helpers()[0].pid}/fd/{CONTROL}")
        until("the watcher knows", lambda: not connection.is_symlink())
        denial, last = spooled(spool)  # at once: nobody waits for it at the end of the session
        made.go_on()
        assert made.finish() == ["True False"]
        made.expect_nothing_left()
    assert (denial["nodeid"], denial["phase"]) == ("t.py::a", "call")
    assert last["complete"] is False
    assert watching.CLOSED in last["reasons"]  # on a busy machine the last record may be late as well


@pytest.mark.needs("audit")
def test_a_spool_that_cannot_be_written(spool: Path) -> None:
    program = """
    try:
        watch.start(settings(session.own_session(), spool=sys.argv[1] + "/none"))
    except BackendError as error:
        print(error)
    """
    assert run(program, spool, watched=False) == [f"cannot write {spool}/none: No such file or directory: set TMPDIR"]


@pytest.mark.needs("audit")
def test_a_signal_handler_that_raises_while_pytest_waits(spool: Path) -> None:
    """As those of pytest-timeout and Ctrl-C do. Nothing is lost, and no answer taken for another's."""
    program = """
    def give_up(number, frame):
        raise TimeoutError
    signal.signal(signal.SIGALRM, give_up)
    pause()
    denied = []
    for _ in range(3):
        denied.append(denying.child())
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            w.sync()
        except TimeoutError:
            print("late")
    pause()
    seen = w.sync()
    print(told(seen) == [(pid, call, "errno", 1) for pid, call in denied], seen.complete)
    w.write("{}")
    w.remove(1)
    print(w.finish() == watch.Seen([], True, []), w.close_spool([]))
    """
    with started(program, spool) as made:
        made.wait()
        watcher = made.helpers()[0].pid
        os.kill(watcher, signal.SIGSTOP)
        made.go_on()
        made.wait()
        os.kill(watcher, signal.SIGCONT)
        made.go_on()
        assert made.finish() == ["late", "late", "late", "True True", "True True"]


@pytest.mark.needs("audit")
def test_signals_by_which_people_end_pytest(spool: Path) -> None:
    """Ctrl-C and the like go to the whole group; the watcher is in none of pytest's."""
    program = """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pause()
    print(w.sync().complete)
    """
    with started(program, spool) as made:
        made.wait()
        for helper in made.helpers():
            assert os.getsid(helper.pid) != os.getsid(made.process.pid)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
                os.kill(helper.pid, number)
        made.go_on()
        assert made.finish() == ["True"]
