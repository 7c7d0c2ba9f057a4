"""Verdicts that only the kernel can give: a program and its parent see what the kernel's own filter makes of a call."""

import platform
import signal

import pytest
from supervised import Supervised

from pytest_seccomp.linux.seccomp import RET_ALLOW
from pytest_seccomp.profile import bpf

pytestmark = pytest.mark.needs("listener")

ACTIONS = ("kill_process", "kill_thread", "trap")
DISPOSITIONS = ("default", "ignored", "caught", "blocked", "caught and blocked")

ALONE = """
    def the_program():
        blocking[settings["disposition"]]()
        say("before")
        say("after", denied())
"""

IN_A_THREAD = """
    def run():
        if "blocked" in settings["disposition"]:
            blocking["blocked"]()
        denied()
        say("after")

    def the_program():
        blocking[settings["disposition"].partition(" ")[0]]()
        threading.Thread(target=run, daemon=True).start()
        alone()
        say("alone", traced(os.getpid()))
"""


@pytest.mark.parametrize("disposition", DISPOSITIONS)
@pytest.mark.parametrize("action", ACTIONS)
def test_in_a_program_of_one_thread(action: str, disposition: str) -> None:
    ended = Supervised(ALONE, {"sched_yield": action}).both(disposition=disposition)
    assert ended.records == [[action, True, "sched_yield"]]
    if action == "trap" and disposition == "caught":
        # Its handler says what registers it sees, where it knows their places
        assert (ended.status, len(ended.said)) == (0, 4 if platform.machine() == "x86_64" else 3)
    else:
        assert (ended.status, ended.said) == (signal.SIGSYS, ["before"])


@pytest.mark.parametrize("disposition", DISPOSITIONS)
@pytest.mark.parametrize("action", ACTIONS)
def test_in_a_thread(action: str, disposition: str) -> None:
    """One thread ends, others go on: only with kill_thread, and where a trap is caught."""
    ended = Supervised(IN_A_THREAD, {"sched_yield": action}).both(disposition=disposition)
    assert ended.records == [[action, True, "sched_yield"]]
    if action == "kill_thread":
        assert (ended.status, ended.said) == (0, ["alone ['0']"])
    elif action == "trap" and disposition == "caught":
        assert (ended.status, ended.said[-2:]) == (0, ["after", "alone ['0']"])
    else:
        assert (ended.status, ended.said) == (signal.SIGSYS, [])


@pytest.mark.parametrize("settings", [{"wait_killable": False}, {"everything": True}, {"no_new_privs": True}])
@pytest.mark.parametrize("disposition", ["default", "ignored", "caught"])
@pytest.mark.parametrize("action", ACTIONS)
def test_whatever_the_listener_is_like(action: str, disposition: str, settings: dict[str, bool]) -> None:
    program = Supervised(ALONE, {"sched_yield": action}, {"disposition": disposition})
    assert program.both(**settings).records == [[action, True, "sched_yield"]]


@pytest.mark.parametrize("action", ACTIONS)
def test_the_first_thread_of_several(action: str) -> None:
    program = """
        def others():
            while open(f"/proc/{os.getpid()}/stat").read().rpartition(")")[2].split()[0] != "Z":
                time.sleep(0.001)
            say("goes on")
            os._exit(7)

        def the_program():
            threading.Thread(target=others, daemon=True).start()
            denied()
    """
    ended = Supervised(program, {"sched_yield": action}).both()
    expected = (7 << 8, ["goes on"]) if action == "kill_thread" else (signal.SIGSYS, [])
    assert (ended.status, ended.said) == expected


def test_a_trap_says_which_call_it_was_and_leaves_no_trace() -> None:
    """Not the cookie, nor a signal mask of ours."""
    program = """
        def the_program():
            catch()
            signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGUSR1])
            say(denied(), denied(), sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
    """
    ended = Supervised(program, {"sched_yield": "trap"}).both()
    if len(ended.said) == 5:  # x86-64
        assert ended.said == [
            "SIGSYS 31 errno 0 code 1 call 24 arch 0xc000003e",
            "r9 0x1234567890 rbp False rax 24 address True mask 0x200",
        ] * 2 + ["24 24 [<Signals.SIGUSR1: 10>]"]


def test_each_thread_gets_its_own() -> None:
    """Many at once, with different verdicts."""
    program = """
        def run(number):
            lock.acquire(); lock.release()
            denied(number)

        def the_program():
            count = []
            catch(lambda code: count.append(code))
            numbers = [syscalls.numbers_of(name, native().audit_arch)[0] for name in settings["policy"]] * 10
            global lock
            lock = threading.Lock()
            lock.acquire()
            for number in numbers:
                threading.Thread(target=run, args=(number,), daemon=True).start()
            lock.release()
            alone()
            say(count == [1] * 10, traced(os.getpid()))
    """
    policy = {"sched_yield": "kill_thread", "getppid": "trap"}
    ended = Supervised(program, policy).both()
    assert (ended.status, ended.said) == (0, ["True ['0']"])
    assert sorted(ended.records) == [["kill_thread", True, "sched_yield"]] * 10 + [["trap", True, "getppid"]] * 10


@pytest.mark.parametrize("action", ACTIONS)
def test_in_a_grandchild(action: str) -> None:
    program = """
        def the_program():
            say("status", run_child(lambda: say("status", run_child(denied))))
    """
    ended = Supervised(program, {"sched_yield": action}).both()
    assert (ended.status, ended.said) == (0, ["status 31", "status 0"])


@pytest.mark.parametrize("action", ACTIONS)
def test_in_a_child_whose_parent_is_held_by_vfork(action: str) -> None:
    program = """
        import subprocess

        def the_program():
            done = subprocess.run(["/bin/true"], start_new_session=True)
            say(done.returncode)
    """
    ended = Supervised(program, {"setsid": action}).both()
    assert (ended.status, ended.said) == (0, ["-31"])
    assert ended.records == [[action, True, "setsid"]]


@pytest.mark.parametrize("action", ACTIONS)
def test_in_a_busy_program(action: str) -> None:
    """Its other threads go on meanwhile, and are asked for as well."""
    program = """
        def busy():
            while not done:
                os.getppid()

        def run():
            denied()

        def the_program():
            global done
            done = False
            threads = [threading.Thread(target=busy) for _ in range(4)]
            for thread in threads:
                thread.start()
            before = len(os.listdir("/proc/self/task"))
            threading.Thread(target=run, daemon=True).start()
            while len(os.listdir("/proc/self/task")) > before:
                os.getppid()
            done = True
            for thread in threads:
                thread.join()
            alone()  # join() may return while the kernel still has the thread
            say(traced(os.getpid()))
    """
    ended = Supervised(program, {"sched_yield": action}).both(everything=True)
    expected = (0, ["['0']"]) if action == "kill_thread" else (signal.SIGSYS, [])
    assert (ended.status, ended.said) == expected
    assert ended.records == [[action, True, "sched_yield"]]


@pytest.mark.parametrize("number", [-1, -2, 0x7FFFFFFF, 100000, 0x40000000 + 100000])
@pytest.mark.parametrize("verdict", [0x80000000, 0x00000000, 0x00030007], ids=ACTIONS)
def test_a_call_that_does_not_exist(number: int, verdict: int) -> None:
    """-1 is none to the kernel itself when it would have a call made again."""
    program = """
        def the_program():
            catch()
            say(denied(settings["number"]))
    """
    filter = [bpf.load(0), (bpf.IF_EQUAL, 0, 1, number & 0xFFFFFFFF), bpf.verdict(verdict), bpf.verdict(RET_ALLOW)]
    ended = Supervised(program, {}, {"number": number, "program": filter}).both()
    assert [record[1] for record in ended.records] == [True]
    assert ended.status == (0 if verdict == 0x00030007 else signal.SIGSYS)


@pytest.mark.parametrize("action", ACTIONS)
def test_exec_as_the_denied_call(action: str) -> None:
    program = """
        def the_program():
            os.execv("/bin/true", ["true"])
    """
    ended = Supervised(program, {"execve": action}).both()
    assert (ended.status, ended.records) == (signal.SIGSYS, [[action, True, "execve"]])
