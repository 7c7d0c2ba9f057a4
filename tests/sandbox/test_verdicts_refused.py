"""Verdicts where ptrace is refused: a signal ends the process, before it goes on; and who is permitted to what."""

import signal
from pathlib import Path

import pytest
from supervised import Supervised

pytestmark = pytest.mark.needs("listener")

ACTIONS = ("kill_process", "kill_thread", "trap")
NOBODY = 65534

ALONE = """
    def the_program():
        blocking[settings["disposition"]]()
        say("before")
        denied()
        say("after")
"""

NOT_DUMPABLE = """
    def the_program():
        libc.prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
        blocking[settings["disposition"]]()
        say("before")
        denied()
        say("after")
"""

TRACED = """
    from pytest_seccomp.linux import ptrace

    def the_program():
        blocking[settings["disposition"]]()
        say("before")
        denied()
        say("after")

    def before_the_verdict(call):
        reading, writing = os.pipe()
        tracer = os.fork()
        if not tracer:
            ptrace.seize(call.tid, 0)
            os.write(writing, b"x")
            # A tracer passes signals on
            stop = ptrace.wait(call.tid, time.monotonic() + 60)
            ptrace.detach(call.tid, stop.passed_on)
            os._exit(0)
        os.read(reading, 1)
"""


def yama() -> int:
    """What Yama permits: 0 where there is none."""
    try:
        return int(Path("/proc/sys/kernel/yama/ptrace_scope").read_text())
    except FileNotFoundError:
        return 0


def expected(disposition: str) -> int:
    return signal.SIGSYS if disposition == "default" else signal.SIGKILL


@pytest.mark.needs("root")
@pytest.mark.parametrize("disposition", ["default", "ignored", "caught", "blocked"])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_process_that_may_not_be_looked_into(action: str, disposition: str) -> None:
    ended = Supervised(NOT_DUMPABLE, {"sched_yield": action}).run(disposition=disposition, user_of_all=NOBODY)
    assert (ended.status, ended.said) == (expected(disposition), ["before"])
    assert ended.records == [[action, False, "sched_yield"]]


@pytest.mark.parametrize("disposition", ["default", "ignored", "caught", "blocked"])
@pytest.mark.parametrize("wait_killable", [True, False])
def test_a_process_with_a_tracer(wait_killable: bool, disposition: str) -> None:
    """As strace and gdb are. It sees the signal, too."""
    program = Supervised(TRACED, {"sched_yield": "kill_process"})
    ended = program.run(disposition=disposition, wait_killable=wait_killable)
    assert (ended.status, ended.said) == (expected(disposition), ["before"])
    assert ended.records == [["kill_process", False, "sched_yield"]]


@pytest.mark.needs("root")
def test_one_thread_of_several_that_may_not_be_looked_into() -> None:
    """All end."""
    program = """
        def the_program():
            libc.prctl(4, 0, 0, 0, 0)
            threading.Thread(target=denied).start()
            alone()
            say("alone")
    """
    ended = Supervised(program, {"sched_yield": "kill_thread"}).run(user_of_all=NOBODY)
    assert (ended.status, ended.said) == (signal.SIGSYS, [])
    assert ended.records == [["kill_thread", False, "sched_yield"]]


@pytest.mark.needs("root")
def test_a_program_of_somebody_else() -> None:
    """Not even a signal is permitted: the call at least is not made."""
    program = """
        def the_program():
            say(denied(), ctypes.get_errno() == errno.EPERM)

        def before_the_verdict(call):
            os.setresuid(65534, 65534, 65534)
    """
    ended = Supervised(program, {"sched_yield": "kill_process"}).run()
    assert (ended.status, ended.said) == (0, ["-1 True"])
    assert ended.records == [["kill_process", False, "sched_yield"]]


@pytest.mark.needs("root")
@pytest.mark.parametrize("disposition", ["default", "ignored", "caught", "blocked"])
@pytest.mark.parametrize("action", ACTIONS)
def test_an_ordinary_user(action: str, disposition: str) -> None:
    """Without any capability, so with no_new_privs; the supervisor is the program's parent."""
    program = Supervised(ALONE, {"sched_yield": action})
    native = program.run(supervised=False, disposition=disposition, user_of_all=NOBODY)
    ours = program.run(disposition=disposition, user_of_all=NOBODY)
    exact = yama() < 2
    assert ours.records == [[action, exact, "sched_yield"]]
    if exact:
        assert (ours.status, ours.said) == (native.status, native.said)


@pytest.mark.needs("root")
@pytest.mark.parametrize("no_new_privs", [True, False])
@pytest.mark.parametrize("action", ACTIONS)
def test_an_ordinary_users_program(action: str, no_new_privs: bool) -> None:
    """Under a supervisor with more rights; the filter came before the program gave up its own."""
    program = """
        def the_program():
            os.setresuid(65534, 65534, 65534)
            say("before")
            denied()
            say("after")
    """
    ended = Supervised(program, {"sched_yield": action}).both(no_new_privs=no_new_privs)
    assert (ended.status, ended.said) == (signal.SIGSYS, ["before"])


@pytest.mark.needs("root")
@pytest.mark.parametrize("action", ACTIONS)
def test_a_daemon(action: str) -> None:
    """Whose parents have ended: under Yama only the supervisor that has adopted it may trace it."""
    program = """
        libc.prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER, for the supervisor

        def the_program():
            if os.fork():
                os._exit(0)
            os.setsid()
            while os.getppid() != supervisor:
                time.sleep(0.001)
            say("before")
            denied()
            say("after")

        def after_the_verdict(call):
            os.waitpid(call.tid, 0)

        supervisor = os.getpid()
    """
    ended = Supervised(program, {"sched_yield": action}).run(user_of_all=NOBODY)
    assert (ended.status, ended.said) == (0, ["before"])
    assert ended.records == [[action, yama() < 2, "sched_yield"]]


def test_a_thread_that_cannot_be_started() -> None:
    """The sandbox may have used up what its user may have. Then a signal does it."""
    program = """
        from pytest_seccomp.linux import ptrace

        def the_program():
            denied()

        def before_the_verdict(call):
            def in_a_thread(function):
                raise RuntimeError("can't start new thread")
            ptrace.in_a_thread = in_a_thread
    """
    ended = Supervised(program, {"sched_yield": "kill_thread"}).run()
    assert (ended.status, ended.records) == (signal.SIGSYS, [["kill_thread", False, "sched_yield"]])


def test_a_thread_that_does_not_stop() -> None:
    """In time: the thread is let go, and a signal does it."""
    program = """
        from pytest_seccomp.linux import ptrace

        def the_program():
            denied()
            say("after")

        def before_the_verdict(call):
            ptrace.wait = lambda tid, deadline: None

    """
    ended = Supervised(program, {"sched_yield": "kill_process"}).run()
    assert (ended.status, ended.said) == (signal.SIGSYS, [])
    # Its call may come once more, before the signal does
    assert [*map(tuple, ended.records)] in ([("kill_process", False, "sched_yield")] * n for n in (1, 2))


@pytest.mark.needs("mount")
def test_the_first_process_of_a_pid_namespace() -> None:
    """SIGSYS does nothing to it, if not sent by a filter."""
    program = """
        def the_program():
            libc.unshare(0x20000000)  # CLONE_NEWPID
            say("status", run_child(denied))

        def before_the_verdict(call):
            if settings["refused"]:
                from pytest_seccomp.linux import ptrace
                def seize(tid, options):
                    raise PermissionError
                ptrace.seize = seize
    """
    for refused, status, exact in ((False, 31, True), (True, 9, False)):
        ended = Supervised(program, {"sched_yield": "kill_process"}, {"refused": refused}).run()
        assert (ended.said, ended.records) == ([f"status {status}"], [["kill_process", exact, "sched_yield"]])


@pytest.mark.skipif("vsyscall" not in Path("/proc/self/maps").read_text(), reason="no vsyscall page")
def test_a_call_that_is_emulated() -> None:
    """time() on the vsyscall page of x86-64 is made in a fault, and cannot be given back to the kernel."""
    program = """
        def the_program():
            say("before")
            ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p)(0xFFFFFFFFFF600400)(None)
            say("after")
    """
    ended = Supervised(program, {"time": "kill_process"}).run()
    assert (ended.status, ended.said, ended.records) == (signal.SIGSYS, ["before"], [["kill_process", False, "time"]])
