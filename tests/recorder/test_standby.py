"""The standby: it tells the recorder of its target's end until it knows, and takes over from a killed one."""

import signal

import pytest
from child import output, run

# A pipe in place of a listener: it hangs up when its writers are gone, as a listener does
NUDGED = """
    import os, signal, subprocess, sys
    from pytest_seccomp.linux.notification import Exchange
    from pytest_seccomp.recorder import standby

    signal.pthread_sigmask(signal.SIG_BLOCK, [standby.WAKE_SIGNAL])
    listener, traced = os.pipe()
    target = subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE)
    exchange = Exchange()

    def close_inherited():
        os.close(traced)
        target.stdin.close()

    pid = standby.start(listener, exchange, target.pid, close_inherited)
"""


def test_the_end_of_the_target_is_told_until_it_is_known() -> None:
    program = """
    assert signal.sigtimedwait([standby.WAKE_SIGNAL], 0) is None
    target.stdin.close()
    for _ in range(3):
        print(signal.sigwaitinfo([standby.WAKE_SIGNAL]).si_pid == pid)
    exchange.status[standby.TARGET_GONE] = 1
    while signal.sigtimedwait([standby.WAKE_SIGNAL], 1):
        pass  # those that were on their way
    os.close(traced)
    print(signal.sigwaitinfo([standby.WAKE_SIGNAL]).si_pid == pid)
    os.kill(pid, signal.SIGKILL)
    """
    assert output(NUDGED + program) == "True\n" * 4


def test_that_nobody_is_traced_is_told_while_the_target_lives() -> None:
    program = """
    assert signal.sigtimedwait([standby.WAKE_SIGNAL], 0) is None
    os.close(traced)
    for _ in range(3):
        print(signal.sigwaitinfo([standby.WAKE_SIGNAL]).si_pid == pid)
    os.kill(pid, signal.SIGKILL)
    target.stdin.close()
    """
    assert output(NUDGED + program) == "True\n" * 3


def test_it_closes_what_only_the_recorder_may_hold_and_ignores_its_own_signal() -> None:
    program = """
    os.kill(pid, standby.WAKE_SIGNAL)
    os.close(traced)  # would not hang up if the standby held it
    print(signal.sigwaitinfo([standby.WAKE_SIGNAL]).si_pid == pid)
    os.kill(pid, signal.SIGKILL)
    target.stdin.close()
    """
    assert output(NUDGED + program) == "True\n"


@pytest.mark.needs("listener")
@pytest.mark.parametrize("received", [True, False])
def test_calls_pass_when_the_recorder_is_killed(received: bool) -> None:
    """Also the call that it had received and not answered."""
    program = """
        import fcntl, os, signal, socket, sys
        from pytest_seccomp.linux.marked import MarkedCalls
        from pytest_seccomp.linux.notification import RECV, Exchange
        from pytest_seccomp.recorder import standby
        from pytest_seccomp.recorder.backends import notify

        ours, theirs = socket.socketpair()
        cookie = notify.new_cookie()
        target = os.fork()
        if not target:
            ours.close()
            notify.attach(MarkedCalls(cookie), cookie, theirs.fileno())
            for _ in range(100):
                os.getppid()
            os.write(1, b"passed\\n")
            os._exit(0)
        theirs.close()
        (listener, _), _ = notify.receive_listener(ours)
        exchange = Exchange()
        standby.start(listener, exchange, target, ours.close)
        if sys.argv[1] == "True":
            fcntl.ioctl(listener, RECV, exchange.notification, True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    ended = run(program, str(received))
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGKILL, "passed\n", "")
