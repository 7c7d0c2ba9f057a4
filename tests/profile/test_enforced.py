"""The kernel's meaning of each action, from its name to what a program under it sees."""

import signal

import pytest
from child import run

# Calls that do nothing: each program denies sched_yield, and makes it
PROGRAM = """
    import ctypes, os, resource, signal, sys, threading
    from pytest_seccomp.linux import seccomp
    from pytest_seccomp.linux.architecture import native
    from pytest_seccomp.profile.actions import ALLOW, Action
    from pytest_seccomp.profile.compiling import program
    from pytest_seccomp.profile.policy import Policy, Rule
    from pytest_seccomp.profile.architectures import COMPANIONS
    from pytest_seccomp.trace.wanted import Wanted
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    action = Action.parse(sys.argv[1])
    policy = Policy(ALLOW, [Rule(Wanted.parse("sched_yield"), action)], COMPANIONS[native().name], ALLOW)
    libc = ctypes.CDLL(None, use_errno=True)
    seccomp.set_no_new_privs()
    seccomp.install(program(policy))
"""


@pytest.mark.parametrize(
    ("action", "code", "status", "output"),
    [
        ("allow", "print(os.sched_yield())", 0, "None\n"),
        ("log", "print(os.sched_yield())", 0, "None\n"),
        (
            "errno:EXDEV",
            "try: os.sched_yield()\n    except OSError as error: print(error.strerror)",
            0,
            "Invalid cross-device link\n",
        ),
        (
            "trace",
            "try: os.sched_yield()\n    except OSError as error: print(error.strerror)",
            0,
            "Function not implemented\n",
        ),
        ("kill_process", "print(1, flush=True); os.sched_yield(); print(2)", -signal.SIGSYS, "1\n"),
        ("kill_process", "threading.Thread(target=os.sched_yield).start(); signal.pause()", -signal.SIGSYS, ""),
        ("kill_thread", "os.sched_yield()", -signal.SIGSYS, ""),
        ("trap", "print(1, flush=True); os.sched_yield(); print(2)", -signal.SIGSYS, "1\n"),
        ("kill_process", "signal.signal(signal.SIGSYS, signal.SIG_IGN); os.sched_yield()", -signal.SIGSYS, ""),
    ],
)
@pytest.mark.needs("listener")
def test_what_a_program_sees_of_an_action(action: str, code: str, status: int, output: str) -> None:
    result = run(f"{PROGRAM}    {code}\n", action)
    assert (result.returncode, result.stdout) == (status, output), result.stderr


@pytest.mark.needs("listener")
def test_a_trap_is_a_signal_that_says_which_call_it_was() -> None:
    result = run(
        f"""{PROGRAM}
    @ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    def handler(number, info, context):
        fields = (ctypes.c_int * 12).from_address(info)
        # si_signo, si_errno, si_code; si_call_addr is at 16, si_syscall at 24, si_arch at 28
        print(number, fields[1], fields[2], fields[6], hex(ctypes.c_uint(fields[7]).value), flush=True)
        os._exit(0)
    class Action(ctypes.Structure):
        _fields_ = [("handler", ctypes.c_void_p), ("mask", ctypes.c_ulong * 16), ("flags", ctypes.c_int),
                    ("restorer", ctypes.c_void_p)]
    libc.sigaction(signal.SIGSYS, ctypes.byref(Action(ctypes.cast(handler, ctypes.c_void_p), flags=4)), None)
    os.sched_yield()
""",
        "trap",
    )
    number, error, code, call, arch = result.stdout.split()
    assert (int(number), int(error), int(code)) == (signal.SIGSYS, 0, 1)  # SYS_SECCOMP
    assert (call, arch) in {("24", "0xc000003e"), ("124", "0xc00000b7"), ("124", "0xc00000f3")}
