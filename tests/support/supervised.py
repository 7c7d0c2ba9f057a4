"""A program under a policy, twice: with the kernel's own filter, and with a supervisor that gives each verdict.

What a program sees of a verdict, and the status that its parent gets, must be the same. The supervisor here is as
simple as can be: it evaluates the policy for each call that arrives, and gives the verdict.
"""

import json
from dataclasses import dataclass, field
from textwrap import dedent
from typing import Any

from child import run

_HARNESS = r"""
import ctypes, errno, fcntl, json, mmap, os, resource, select, signal, socket, struct, sys, threading, time, traceback

from pytest_seccomp.linux import notification, process, seccomp, syscalls
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.marked import MarkedCalls
from pytest_seccomp.linux.waiting import WaitingCall
from pytest_seccomp.profile import bpf, compiling
from pytest_seccomp.profile.actions import ALLOW, Action
from pytest_seccomp.profile.architectures import COMPANIONS
from pytest_seccomp.profile.policy import Policy, Rule
from pytest_seccomp.sandbox import verdicts
from pytest_seccomp.sandbox.cookies import Cookies, is_the_kernels
from pytest_seccomp.trace.wanted import Wanted

settings = json.loads(sys.argv[1])
rules = [Rule(Wanted.parse(name), Action.parse(action)) for name, action in settings["policy"].items()]
policy = Policy(ALLOW, rules, COMPANIONS[native().name], ALLOW)
program = [tuple(one) for one in settings["program"] or bpf.decoded(compiling.program(policy))]
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
libc = ctypes.CDLL(None, use_errno=True)
reading, writing = os.pipe()


def say(*what):
    # One write: two processes may speak
    os.write(writing, (" ".join(map(str, what)) + "\n").encode())


def denied(number=None):
    # A call that does nothing, with a sixth argument to be found again
    number = {"x86_64": 24}.get(native().name, 124) if number is None else number
    return libc.syscall(ctypes.c_long(number), 1, 2, 3, 4, 5, ctypes.c_ulong(SIXTH))


SIXTH = 0x1234567890


class Action_(ctypes.Structure):
    _fields_ = [("handler", ctypes.c_void_p), ("mask", ctypes.c_ulong * 16), ("flags", ctypes.c_int),
                ("restorer", ctypes.c_void_p)]


def catch(speak=None, flags=4):  # SA_SIGINFO
    # A handler of SIGSYS in C, at least to the kernel
    @ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    def handler(number, info, context):
        signo, error, code, _, address, call, arch = struct.unpack("=iiiiQiI", ctypes.string_at(info, 32))
        if speak is not None:
            return speak(code)
        say("SIGSYS", signo, "errno", error, "code", code, "call", call, "arch", hex(arch))
        if native().name == "x86_64":
            words = struct.unpack("=23Q", ctypes.string_at(context + 40, 23 * 8))
            say("r9", hex(words[1]), "rbp", words[10] == 0x55667788, "rax", words[13], "address", address == words[16],
                "mask", hex(int.from_bytes(ctypes.string_at(context + 296, 8), "little")))
    kept.append(handler)
    libc.sigaction(signal.SIGSYS, ctypes.byref(Action_(ctypes.cast(handler, ctypes.c_void_p), flags=flags)), None)


kept = []
blocking = {
    "default": lambda: None,
    "ignored": lambda: signal.signal(signal.SIGSYS, signal.SIG_IGN),
    "caught": catch,
    "blocked": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGSYS]),
    "caught and blocked": lambda: (catch(), signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGSYS])),
}


def alone():
    # Until there is only this thread
    while len(os.listdir("/proc/self/task")) > 1:
        time.sleep(0.001)


def run_child(function):
    # A child that runs the function: its status
    pid = os.fork()
    if not pid:
        try:
            function()
        except BaseException:
            say(traceback.format_exc())
            os._exit(98)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def traced(pid):
    return [open(f"/proc/{pid}/task/{tid}/status").read().partition("TracerPid:")[2].split()[0]
            for tid in os.listdir(f"/proc/{pid}/task")]


def in_the_program():
    try:
        if settings["user"]:
            os.setgroups([])
            os.setresgid(settings["user"], settings["user"], settings["user"])
            os.setresuid(settings["user"], settings["user"], settings["user"])
            libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: changing the user has ended it
        if settings["no_new_privs"] or not process.has_capability(process.CAP_SYS_ADMIN):
            seccomp.set_no_new_privs()
        if settings["supervised"]:
            hand_over()
        else:
            seccomp.install(bpf.encoded(program))
        the_program()
    except BaseException:
        say(traceback.format_exc())
        os._exit(99)
    os._exit(0)


def hand_over():
    flags = seccomp.FLAG_NEW_LISTENER
    if settings["wait_killable"] and seccomp.flag_is_known(seccomp.FLAG_WAIT_KILLABLE_RECV):
        flags |= seccomp.FLAG_WAIT_KILLABLE_RECV
    low, _ = seccomp.argument(4)
    lead_in = [bpf.load(0), (bpf.IF_EQUAL, 0, 3, native().sendmsg), bpf.load(low), (bpf.IF_EQUAL, 0, 1, 0x7654321),
               bpf.verdict(seccomp.RET_ALLOW)]
    calls = MarkedCalls(0x7654321)
    filter = [*lead_in, *cookies.supervised(everything=settings["everything"])]
    calls.install_and_hand_over(bpf.encoded(filter), flags, theirs.fileno())


def supervise(listener):
    records = []
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    buffer = bytearray(4096)
    while True:
        events = poll.poll()[0][1]
        if not events & select.POLLIN:
            return records
        buffer[:80] = bytes(80)
        try:
            fcntl.ioctl(listener, notification.RECV, buffer, True)
        except FileNotFoundError:
            continue
        call = WaitingCall(listener, buffer)
        verdict = bpf.evaluate(program, call.data)
        if not is_the_kernels(verdict):
            try:
                fcntl.ioctl(listener, notification.SEND, struct.pack("=QqiI", call.id, 0, 0, 1))
            except FileNotFoundError:
                pass
            continue
        before_the_verdict(call)
        try:
            exact = verdicts.give(call, verdict, cookies[verdict])
        except FileNotFoundError:
            records.append("gone")
        else:
            records.append([str(Action.from_verdict(verdict)), exact, name(call)])
        after_the_verdict(call)


def name(call):
    return syscalls.name_of(call.arch, call.number) or call.number


def before_the_verdict(call):
    pass


def after_the_verdict(call):
    pass


@PROGRAM@

cookies = Cookies(program)
ours, theirs = socket.socketpair()
if settings["user_of_all"]:
    os.setgroups([])
    os.setresgid(settings["user_of_all"], settings["user_of_all"], settings["user_of_all"])
    os.setresuid(settings["user_of_all"], settings["user_of_all"], settings["user_of_all"])
    libc.prctl(4, 1, 0, 0, 0)
child = os.fork()
if not child:
    os.close(reading)
    ours.close()
    in_the_program()
os.close(writing)
theirs.close()
records = []
if settings["supervised"]:
    _, (listener,), _, _ = socket.recv_fds(ours, 1, 1)
    notification.wake_up_in_place(listener)
    records = supervise(listener)
_, status = os.waitpid(child, 0)
with open(reading) as file:
    said = file.read().splitlines()
print(json.dumps({"status": status, "said": said, "records": records, "threads": threading.active_count()}))
"""


@dataclass(slots=True)
class Ended:
    """How a program ended under a policy."""

    status: int
    """As of waitpid(2)."""
    said: list[str]
    """Its lines."""
    records: list[Any]
    """What the supervisor did: for each verdict its action, whether it was the kernel's own, and the call's name;
    "gone" where there was none."""


@dataclass(slots=True)
class Supervised:
    """A program, as Python source with a function `the_program`, and its policy: actions by names of calls.

    It may use `denied()`, which makes a call that does nothing (sched_yield), `say(...)`, `catch()` and what else is
    above. It may define `before_the_verdict(call)` and `after_the_verdict(call)` for the supervisor."""

    source: str
    policy: dict[str, str]
    settings: dict[str, Any] = field(default_factory=dict)

    def run(self, *, supervised: bool = True, **settings: Any) -> Ended:
        """Run it."""
        given = {
            "policy": self.policy, "supervised": supervised, "everything": False, "wait_killable": True, "user": 0,
            "user_of_all": 0, "no_new_privs": False, "program": None,
        } | self.settings | settings  # fmt: skip
        done = run(_HARNESS.replace("@PROGRAM@", dedent(self.source)), json.dumps(given))
        assert done.returncode == 0, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
        found = json.loads(done.stdout)
        assert found.pop("threads") == 1
        return Ended(**found)

    def both(self, **settings: Any) -> Ended:
        """Run it under the kernel's filter and under a supervisor; demand the same status and words, and that the
        supervisor's verdicts were the kernel's. Returns the latter run."""
        native, ours = self.run(supervised=False, **settings), self.run(**settings)
        assert (ours.status, ours.said) == (native.status, native.said), ours
        assert all(record == "gone" or record[1] for record in ours.records), ours
        return ours
