"""Verdicts that only the kernel can give, and what may happen meanwhile: signals, stops, deaths."""

import platform
import signal

import pytest
from supervised import Supervised

pytestmark = pytest.mark.needs("listener")

ACTIONS = ("kill_process", "kill_thread", "trap")

STORM = """
    def storm():
        # Not a handler of ctypes: that would wait for the GIL, which the thread may be about to take
        signal.signal(signal.SIGALRM, lambda number, frame: storms.append(number))
        signal.siginterrupt(signal.SIGALRM, False)  # SA_RESTART
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)

    storms = []

    def calm():
        signal.setitimer(signal.ITIMER_REAL, 0)
"""


@pytest.mark.parametrize("wait_killable", [True, False])
def test_traps_in_a_storm_of_signals(wait_killable: bool) -> None:
    """Each call is trapped once, with its own arguments, and the storm goes on."""
    program = (
        STORM
        + """
    def the_program():
        traps = []
        catch(lambda code: traps.append(code))
        storm()
        results = [denied() for _ in range(100)]
        seen = len(storms)
        while len(storms) < seen + 10:
            pass
        calm()
        say(traps == [1] * 100, set(results), traced(os.getpid()))
    """
    )
    ended = Supervised(program, {"sched_yield": "trap"}).both(wait_killable=wait_killable)
    # What a trap leaves as the result: where the register is not that of the number, the first argument
    result = 24 if platform.machine() == "x86_64" else 1
    assert (ended.status, ended.said) == (0, [f"True {{{result}}} ['0']"])
    assert [record for record in ended.records if record != "gone"] == [["trap", True, "sched_yield"]] * 100


@pytest.mark.parametrize("wait_killable", [True, False])
def test_threads_that_end_in_a_storm_of_signals(wait_killable: bool) -> None:
    """The signals that were to wake a thread that ends wake others."""
    program = (
        STORM
        + """
    def the_program():
        storm()
        for _ in range(30):
            threading.Thread(target=denied, daemon=True).start()
            alone()
            seen = len(storms)
            while len(storms) < seen + 2:
                signal.pause()
        calm()
        say("done", traced(os.getpid()))
    """
    )
    ended = Supervised(program, {"sched_yield": "kill_thread"}).both(wait_killable=wait_killable)
    assert (ended.status, ended.said) == (0, ["done ['0']"])
    assert [record for record in ended.records if record != "gone"] == [["kill_thread", True, "sched_yield"]] * 30


@pytest.mark.parametrize("action", ACTIONS)
def test_an_end_in_a_storm_of_signals(action: str) -> None:
    program = (
        STORM
        + """
    def caught_in_it():
        storm()
        denied()

    def the_program():
        say({run_child(caught_in_it) for _ in range(20)})
    """
    )
    ended = Supervised(program, {"sched_yield": action}).both()
    assert (ended.status, ended.said) == (0, ["{31}"])
    assert [record for record in ended.records if record != "gone"] == [[action, True, "sched_yield"]] * 20


def test_a_signal_that_waits_for_the_process_wakes_another_thread() -> None:
    """It was to wake the thread that ends, which is the only one that does not block it but for one that waits."""
    program = """
        def the_program():
            got = []
            signal.signal(signal.SIGUSR1, lambda *_: got.append("USR1"))
            ready = threading.Event()

            def run():
                ready.set()
                denied()

            # The thread is chosen for the signal while it waits: the first thread blocks it
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
            def unblocked():
                signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
                run()
            threading.Thread(target=unblocked, daemon=True).start()
            ready.wait()
            alone()
            say(signal.sigtimedwait([signal.SIGUSR1], 60).si_signo)

        def before_the_verdict(call):
            os.kill(child, signal.SIGUSR1)
    """
    ended = Supervised(program, {"sched_yield": "kill_thread"}).run()
    assert (ended.status, ended.said) == (0, ["10"])
    assert ended.records == [["kill_thread", True, "sched_yield"]]


def test_a_thread_that_ends_hands_on_a_signal_to_one_that_sleeps() -> None:
    program = """
        def the_program():
            reading, writing = os.pipe()
            @ctypes.CFUNCTYPE(None, ctypes.c_int)
            def handler(number):
                os.write(writing, b"got it")
            kept.append(handler)
            libc.sigaction(signal.SIGUSR1, ctypes.byref(Action_(ctypes.cast(handler, ctypes.c_void_p))), None)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])

            def sleeps():
                signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
                sleeping.set()
                libc.pause()

            def ends():
                signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
                denied()

            sleeping = threading.Event()
            threading.Thread(target=ends, daemon=True).start()
            threading.Thread(target=sleeps, daemon=True).start()
            sleeping.wait()
            say(os.read(reading, 6))  # the others come later, or are one with it

        def before_the_verdict(call):
            # To the whole process; the thread that waits in its call may be chosen
            for _ in range(3):
                os.kill(child, signal.SIGUSR1)
    """
    ended = Supervised(program, {"sched_yield": "kill_thread"}).run()
    assert (ended.status, ended.said) == (0, ["b'got it'"])


@pytest.mark.skipif(platform.machine() != "x86_64", reason="a handler in machine code")
def test_other_signals_of_the_same_number_as_a_trap() -> None:
    """Somebody sends SIGSYS all the time: those are no traps, and hide none."""
    program = """
        def the_program():
            # cmp dword ptr [rsi+8], 1; jne 1f; lock inc dword ptr [rip+51]; 1: ret
            page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
            page[:14] = bytes.fromhex("837e0801 7507 f0ff0533000000 c3")
            address = ctypes.addressof(ctypes.c_char.from_buffer(page))
            # SA_RESTART: until the supervisor has received it, the call is interrupted by a signal
            libc.sigaction(signal.SIGSYS, ctypes.byref(Action_(address, flags=0x10000004)), None)
            parent = os.getpid()
            sender = os.fork()
            if not sender:
                while True:
                    os.kill(parent, signal.SIGSYS)
            for _ in range(200):
                denied()
            os.kill(sender, signal.SIGKILL)
            os.waitpid(sender, 0)
            say(int.from_bytes(page[64:68], "little"), traced(os.getpid()))
    """
    ended = Supervised(program, {"sched_yield": "trap"}).both()
    assert (ended.status, ended.said) == (0, ["200 ['0']"])
    assert [record for record in ended.records if record != "gone"] == [["trap", True, "sched_yield"]] * 200


@pytest.mark.parametrize("action", ACTIONS)
def test_the_whole_process_is_stopped_meanwhile(action: str) -> None:
    """And continued later, which it can be as ever."""
    program = """
        def the_program():
            catch()
            signal.signal(signal.SIGCONT, lambda *_: say("CONT"))
            thread = threading.Thread(target=denied, daemon=True)
            thread.start()
            alone()
            say(traced(os.getpid()))

        def before_the_verdict(call):
            os.kill(child, signal.SIGSTOP)
            while open(f"/proc/{child}/stat").read().rpartition(")")[2].split()[0] != "T":
                time.sleep(0.001)

        def after_the_verdict(call):
            os.kill(child, signal.SIGCONT)
    """
    ended = Supervised(program, {"sched_yield": action}).run()
    assert ended.records == [[action, True, "sched_yield"]]
    if action == "kill_process":
        assert ended.status == signal.SIGSYS
    else:
        assert (ended.status, ended.said[-1]) == (0, "['0']")


@pytest.mark.parametrize("action", ACTIONS)
def test_stopped_and_continued_all_the_time(action: str) -> None:
    program = """
        def the_program():
            catch(lambda code: None)
            parent = os.getpid()
            over = mmap.mmap(-1, 1)
            sender = os.fork()
            if not sender:
                while os.getppid() == parent and not over[0]:
                    os.kill(parent, signal.SIGSTOP)
                    os.kill(parent, signal.SIGCONT)
                os._exit(0)
            for _ in range(30):
                if settings["action"] == "kill_process":
                    denied()
                threading.Thread(target=denied, daemon=True).start()
                alone()
            over[0] = 1
            os.waitpid(sender, 0)
            say(traced(os.getpid()))
    """
    ended = Supervised(program, {"sched_yield": action}, {"action": action}).run()
    given = [record for record in ended.records if record != "gone"]
    if action == "kill_process":
        assert (ended.status, given) == (signal.SIGSYS, [[action, True, "sched_yield"]])
    else:
        assert (ended.status, ended.said, given) == (0, ["['0']"], [[action, True, "sched_yield"]] * 30)


def test_killed_before_the_verdict() -> None:
    """The status of the other signal is there for the parent, and nobody waits for ever."""
    program = """
        def the_program():
            denied()

        def before_the_verdict(call):
            os.kill(child, signal.SIGKILL)
            os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    """
    ended = Supervised(program, {"sched_yield": "kill_process"}).run()
    assert (ended.status, ended.records) == (signal.SIGKILL, ["gone"])


@pytest.mark.parametrize("action", ACTIONS)
def test_killed_during_the_verdict(action: str) -> None:
    """At any point of it: each time the parent gets a status, of one signal or the other."""
    program = """
        import random

        def the_program():
            catch(lambda code: os._exit(31))
            pids = []
            for _ in range(60):
                pid = os.fork()
                if not pid:
                    denied()
                pids.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            say({*pids} - {-9, -31, 31}, traced(os.getpid()))

        def before_the_verdict(call):
            def kill(tid=call.tid):
                time.sleep(random.random() / 1000)
                try:
                    os.kill(tid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            killers.append(threading.Thread(target=kill))
            killers[-1].start()

        def after_the_verdict(call):
            killers.pop().join()

        killers = []
    """
    ended = Supervised(program, {"sched_yield": action}).run()
    assert (ended.status, ended.said) == (0, ["set() ['0']"])
    assert len(ended.records) == 60
    assert all(record == "gone" or record == [action, True, "sched_yield"] for record in ended.records)


@pytest.mark.parametrize("action", ACTIONS)
def test_another_thread_executes_a_program_meanwhile(action: str) -> None:
    """The thread that waits is ended for that. Early or late: one of the two happens, and nothing else."""
    program = """
        def the_program():
            def executes():
                reading, writing = os.pipe()
                threading.Thread(target=lambda: (os.write(writing, b"x"), denied()), daemon=True).start()
                os.read(reading, 1)
                for _ in range(random.randrange(20000)):
                    pass
                os.execv("/bin/true", ["true"])
            say({run_child(executes) for _ in range(30)} - {0, 31})

        import random
    """
    ended = Supervised(program, {"sched_yield": action}).run()
    assert (ended.status, ended.said) == (0, ["set()"])
    assert all(record in ("gone", [action, True, "sched_yield"]) for record in ended.records)


def test_threads_of_the_supervisor_are_all_gone() -> None:
    program = """
        def the_program():
            catch(lambda code: None)
            for _ in range(50):
                denied()

        def after_the_verdict(call):
            assert len(os.listdir("/proc/self/task")) == 1
    """
    ended = Supervised(program, {"sched_yield": "trap"}).run()
    assert ended.records == [["trap", True, "sched_yield"]] * 50


def test_the_supervisor_is_killed_in_the_middle() -> None:
    """The thread is let go and makes its call again, for another supervisor here."""
    program = """
        from pytest_seccomp.linux import ptrace

        def the_program():
            denied()

        def before_the_verdict(call):
            if killed:
                return
            killed.append(os.fork())
            if not killed[0]:
                ptrace.set_registers = lambda tid, changes: os.kill(os.getpid(), signal.SIGKILL)
                verdicts.give(call, 0x80000000, cookies[0x80000000])
            os.waitpid(killed[0], 0)

        killed = []
    """
    ended = Supervised(program, {"sched_yield": "kill_process"}).run()
    assert ended.status == signal.SIGSYS
    assert ended.records == ["gone", ["kill_process", True, "sched_yield"]]
