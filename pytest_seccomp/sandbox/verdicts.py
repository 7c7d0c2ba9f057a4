"""Verdicts that only the kernel can give (kill_process, kill_thread, trap) for a call that waits for a supervisor.

The supervisor stops the thread by ptrace, answers the call with an error that has it made again, puts the cookie of the
verdict into its sixth argument (see `cookies`), and lets the thread go. The kernel then decides the call itself: the
process ends with the status of its own verdict, and that SIGSYS is caught, ignored or blocked makes the difference that
it makes there.

What may come in between:

- *Signals.* All are blocked from the stop to the verdict, or their handlers would run first, with the cookie in a
  register, and a storm of signals would put the verdict off for ever. They wait, as for a call that takes its time. But
  SIGSYS is not blocked for a trap, which would then kill; SIGSTOP cannot be. Where one of these comes first, the thread
  gets it unchanged, and makes its call anew later.
- *The cookie* must not be seen by the program: a handler of SIGSYS finds the registers in its context, and no call
  changes r9. After a trap the thread stops once more, before the handler, and has its argument back.
- *A thread that ends alone* hands the signals that wait for its process, and were to wake it, on to another thread, but
  only those that it does not block (kernel/signal.c, exit_signals). So it stops before its end and has its mask back.
- *The thread id* may be another's by now. Once a thread is seized, the call is looked at: if it waits, it is the right
  one.
- *The supervisor may be killed.* A traced thread is let go then. Answered with ERESTARTNOINTR, it makes its call again;
  no program sees the error, for a thread that ptrace has interrupted always comes by where the kernel looks for it.
- *No stop* within the limit (a frozen cgroup), another error: the thread of ours that traces ends, and with it the
  kernel lets go of what it traced.

Where ptrace is refused, or comes to nothing, a signal does it: SIGSYS to the thread, if that ends the process, for then
the status is right, else SIGKILL. Then a trap kills, and with one thread the others end, too.
"""

import errno
import os
import signal
import time
from enum import Enum, auto

from pytest_seccomp.linux import ptrace, signals
from pytest_seccomp.linux.registers import CONVENTIONS, ERESTARTNOINTR, Rewinding, Rewound
from pytest_seccomp.linux.waiting import WaitingCall
from pytest_seccomp.sandbox.cookies import KILL_PROCESS, KILL_THREAD, TRAP, action

_LIMIT = 5.0
"""Seconds until a thread must have stopped."""

_SIGSYS_BIT = 1 << (signal.SIGSYS - 1)


class _Outcome(Enum):
    GIVEN = auto()
    REFUSED = auto()
    ENDED = auto()
    """By a signal."""
    GONE = auto()
    """The call does not wait any more. If its thread lives, it was interrupted: it may come anew."""


def give(call: WaitingCall, verdict: int, cookie: int) -> bool:
    """Give a waiting call a verdict, SECCOMP_RET_* with its data, for which its filter knows the cookie.

    Returns whether it is the kernel's own, exact one; else a signal has done it. The call has its answer then.
    FileNotFoundError, as when a call is answered, where it does not wait any more: then it has not taken place, and if
    its thread lives it may come anew.

    Works in a thread that ends before it returns. Meanwhile no other thread of this process may wait for children, for
    it would take the stops; SIGCHLD comes for these, too.
    """
    convention = CONVENTIONS.get(call.arch)
    outcome = _Outcome.REFUSED
    if convention is not None:
        try:
            outcome = ptrace.in_a_thread(lambda: _by_the_kernel(call, convention, verdict, cookie))
        except RuntimeError:
            pass  # there may be no more threads: the sandbox may have used up all that its user may have
    if outcome is _Outcome.REFUSED:
        _by_a_signal(call)
    elif outcome is _Outcome.GONE:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "the call does not wait any more")
    return outcome is _Outcome.GIVEN


def _by_the_kernel(call: WaitingCall, convention: Rewinding | Rewound, verdict: int, cookie: int) -> _Outcome:
    """Have the kernel give it. All that is left traced at the end, this thread's end lets go."""
    try:
        ptrace.seize(call.tid, ptrace.TELL_OF_EXIT)
    except OSError:
        return _Outcome.REFUSED if call.waits() else _Outcome.GONE
    if not call.waits():
        return _Outcome.GONE
    try:
        return _traced(call, convention, verdict, cookie)
    except ProcessLookupError:
        return _Outcome.GONE  # killed meanwhile


def _traced(call: WaitingCall, convention: Rewinding | Rewound, verdict: int, cookie: int) -> _Outcome:
    tid = call.tid
    deadline = time.monotonic() + _LIMIT
    ptrace.interrupt(tid)
    answered = _answer(call, ERESTARTNOINTR)
    stop = ptrace.wait(tid, deadline)
    if stop is None:
        return _Outcome.REFUSED
    if stop.event != ptrace.EVENT_STOP:
        # A signal has come before the interruption, or the thread ends
        ptrace.detach(tid, stop.passed_on)
        return _Outcome.GONE
    registers = ptrace.registers(tid)
    if not convention.is_at(call, registers):
        if not answered:  # a signal has interrupted it before, it is elsewhere now
            ptrace.detach(tid)
            return _Outcome.GONE
        # A call that is not made by an instruction of its own: on the vsyscall page of x86-64
        _by_a_signal(call)
        return _Outcome.ENDED  # and let go after that, with this thread

    mask = ptrace.signal_mask(tid)
    kept = mask | ~_SIGSYS_BIT if action(verdict) == TRAP else ptrace.ALL_SIGNALS
    ptrace.set_signal_mask(tid, kept & ptrace.ALL_SIGNALS)
    ptrace.set_registers(tid, convention.again(call, registers, cookie))
    if action(verdict) == KILL_PROCESS or (action(verdict) == KILL_THREAD and _is_alone(tid)):
        ptrace.detach(tid)  # not waited for: the process may take long to write its core
        return _Outcome.GIVEN

    while stop is not None and stop.event == ptrace.EVENT_STOP:  # again where the whole process is stopped or continued
        ptrace.resume(tid)
        stop = ptrace.wait(tid, deadline)
    if stop is None:
        return _Outcome.REFUSED
    ptrace.set_registers(tid, {convention.sixth: registers[convention.sixth]})
    given = _is_given(tid, stop, verdict)
    # The kernel unblocks SIGSYS for good for a trap; were it blocked, the thread would not get it now
    ptrace.set_signal_mask(tid, mask & ~_SIGSYS_BIT if given else mask)
    ptrace.detach(tid, stop.passed_on)
    return _Outcome.GIVEN if given else _Outcome.GONE


def _is_given(tid: int, stop: ptrace.Stop, verdict: int) -> bool:
    """Whether it is the verdict that has stopped the thread."""
    if stop.event:
        return action(verdict) == KILL_THREAD
    return stop.signal == signal.SIGSYS and ptrace.signal_code(tid) == ptrace.SYS_SECCOMP


def _is_alone(tid: int) -> bool:
    """Whether a stopped thread is the only one of its process. There can be no other then until it goes on."""
    try:
        return len(os.listdir(f"/proc/{tid}/task")) == 1
    except OSError:
        return False  # /proc does not show it: the other way is right for both


def _answer(call: WaitingCall, error: int) -> bool:
    """Answer the call; returns whether it still waited."""
    try:
        call.answer(error)
    except FileNotFoundError:
        return False
    return True


def _by_a_signal(call: WaitingCall) -> None:
    """End the process before the thread goes on in its program."""
    if not call.tid:  # it is in no pid namespace of ours, and to kill(2) 0 is something else
        _answer(call, errno.EPERM)
        return
    try:
        try:
            found = signals.Signals(call.tid)
        except OSError:
            os.kill(call.tid, signal.SIGKILL)  # /proc does not show it; the kernel takes any thread for its process
        else:
            if found.does_its_default(signal.SIGSYS):
                signals.send(found.pid, call.tid, signal.SIGSYS)
            else:
                os.kill(found.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has ended
    except PermissionError:
        # A program with other privileges than ours. The call at least is not made
        _answer(call, errno.EPERM)
        return
    # The signal is there and the thread sees it before anything else: the call is not made again
    _answer(call, ERESTARTNOINTR)
