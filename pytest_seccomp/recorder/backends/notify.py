"""The `notify` backend: every call of the traced threads stops until the recorder answers that it may go on.

Works as any user, also in a container without privileges: seccomp user notification (seccomp_unotify(2)) with an
answer of SECCOMP_USER_NOTIF_FLAG_CONTINUE. Exact by construction: a call that was not counted was not made.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` and `socket` cost 13 ms at start
import _socket
import errno
import fcntl
import os

from pytest_seccomp.errors import BackendError
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.notification import (
    ANSWER_FLAGS,
    ANSWER_ID,
    ANSWER_VALUE,
    CONTINUE,
    NOTIFICATION_SIZE,
    RECV,
    SEND,
    WORD_ARGUMENTS,
    WORD_CALL,
    WORD_ID,
    Exchange,
    nobody_is_traced,
    wake_up_in_place,
)
from pytest_seccomp.linux.process import run_as_soon_as_woken
from pytest_seccomp.recorder import labels, standby
from pytest_seccomp.recorder.checked import Checked
from pytest_seccomp.recorder.handover import Guard, handed_over

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from pytest_seccomp.linux.marked import MarkedCalls
    from pytest_seccomp.recorder.ledger import Counts
    from pytest_seccomp.recorder.process import Recorder

    class Host(Protocol):
        """What supervising needs of the process that it runs in."""

        def counts(self, label: int) -> Counts:
            """Where the calls of a label are counted."""

        def read_messages(self) -> int:
            """Handle what is on the control socket; returns what the marker call is to return."""

        def children_that_ended(self) -> list[int]:
            """The pids of the process's children that have ended since it was asked last."""

        def look_at_target(self) -> bool:
            """Whether the target has ended; then the host has done what is to be done."""

        def close_in_child(self) -> None:
            """Let go, in a process that was forked from this one, of what only this one may hold."""


REMEDY = "needs Linux 5.5 or newer with CONFIG_SECCOMP_FILTER; gVisor and other kernels in user space do not have it"

READS_AT_ANY_TIME = False

RING = 1
"""Operation of a marker: there are messages for the recorder on the control socket."""


def watching_filter(cookie: int) -> bytes:
    """The filter of a traced thread: every call is notified, but for messages to the recorder, with the cookie."""
    from pytest_seccomp.linux import marked, seccomp

    return marked.watching_filter(native(), cookie, seccomp.RET_USER_NOTIF)


class Marks:
    """pytest's marker calls: they return when the recorder has seen them."""

    def __init__(self, calls: MarkedCalls) -> None:
        self._mark = calls.mark

    def mark(self, label: int) -> bool:
        """From here on calls count for this label. Returns whether there was a recorder to see it."""
        return self._mark(label, 0) is not None

    def ring(self, label: int) -> bool:
        """The same, and the recorder has handled what was sent to it, when this returns."""
        return self._mark(label, RING) is not None


def attach(calls: MarkedCalls, cookie: int, control: int, _send: object = None) -> Marks:
    """Put the calling thread, and all that it starts from now on, under the filter, and give the recorder at the other
    end of `control` the listener. Raises BackendError with nothing changed, but for no_new_privs."""
    from pytest_seccomp.linux import process, seccomp

    flags = seccomp.FLAG_NEW_LISTENER
    # Without SPEC_ALLOW, kernels before 5.16 slow every filtered thread down by their defences against Spectre.
    for flag in (seccomp.FLAG_SPEC_ALLOW, seccomp.FLAG_WAIT_KILLABLE_RECV):
        if seccomp.flag_is_known(flag):
            flags |= flag
    try:
        if not process.has_capability(process.CAP_SYS_ADMIN):
            seccomp.set_no_new_privs()
        calls.install_and_hand_over(watching_filter(cookie), flags, control)
    except OSError as error:
        raise explain(error) from error
    return Marks(calls)


def explain(error: OSError) -> BackendError:
    """Why the listener could not be installed, and what to do."""
    if error.errno == errno.EBUSY:
        return BackendError(
            "this process is under another seccomp listener already, and the kernel allows one: it was started by a "
            "traced pytest, or by a container runtime or sandbox that uses seccomp notification itself",
            "run it outside of that, or trace only the outer run (--no-seccomp-trace switches the inner one off)",
        )
    if error.errno in (errno.ENOSYS, errno.EINVAL):
        return BackendError(f"this kernel has no seccomp user notification ({error.strerror})", REMEDY)
    if error.errno in (errno.EPERM, errno.EACCES):
        return BackendError(
            f"seccomp(2) is refused here ({error.strerror})",
            "allow the system call seccomp in the profile of the container or sandbox around it",
        )
    return BackendError(f"{error.filename or 'seccomp'}: {error.strerror}", REMEDY)


class Supervisor:
    """Receives and answers the calls of the threads under one listener."""

    def __init__(self, listener: int, cookie: int, target: int, host: Host) -> None:
        self._listener = listener
        self._cookie = cookie
        self._target = target
        self._host = host
        self._wakes: list[int] = []
        """Signals that came, noted by their handlers."""
        self._handlers: dict[int, object] = {}
        """Of these signals, those that were there before."""
        self._exchange = Exchange()
        self._standby = 0
        wake_up_in_place(listener)
        # Until its call is received a traced thread can be interrupted by a signal, and it waits: on a busy machine a
        # call costs five times as much otherwise
        run_as_soon_as_woken()

    def start(self) -> None:
        """Listen to signals, and start the standby."""
        for number in (standby.WAKE_SIGNAL, _signal.SIGCHLD):
            self._handlers[number] = _signal.signal(number, lambda number, _frame: self._wakes.append(number))
        self._start_standby()

    def close(self) -> None:
        """End the standby and let go of the listener, once nobody is traced any more."""
        os.kill(self._standby, _signal.SIGKILL)
        os.waitpid(self._standby, 0)
        for number, handler in self._handlers.items():
            _signal.signal(number, handler)
        os.close(self._listener)

    def serve(self, label: int) -> None:
        """Count and answer until no thread under the filter is left. Calls belong to `label` until the first marker."""
        host, wakes, exchange, listener, cookie = (
            self._host, self._wakes, self._exchange, self._listener, self._cookie
        )  # fmt: skip
        notification, words = exchange.notification, exchange.words
        answer, answer_words, answer_halves = exchange.answer, exchange.answer_words, exchange.answer_halves
        answer_halves[ANSWER_FLAGS] = CONTINUE
        marker = native().prctl | native().audit_arch << 32
        ioctl, zero, size = fcntl.ioctl, bytes(NOTIFICATION_SIZE), NOTIFICATION_SIZE
        counts = host.counts(label)
        while True:
            notification[:size] = zero
            try:
                ioctl(listener, RECV, notification, True)
            except OSError:
                # A signal, a caller killed before it was received (ENOENT), or nobody left (ENOENT from Linux 6.11 on)
                if not wakes and nobody_is_traced(listener):
                    return
            else:
                call = words[WORD_CALL]
                answer_words[ANSWER_ID] = words[WORD_ID]
                if call == marker and words[WORD_ARGUMENTS + 4] == cookie:
                    label = words[WORD_ARGUMENTS + 1]
                    answer_words[ANSWER_VALUE] = host.read_messages() if words[WORD_ARGUMENTS + 2] == RING else 0
                    answer_halves[ANSWER_FLAGS] = 0
                    try:
                        ioctl(listener, SEND, answer, True)
                    except OSError:
                        pass  # ENOENT: interrupted before Linux 5.19, and made again, or killed
                    answer_words[ANSWER_VALUE] = 0
                    answer_halves[ANSWER_FLAGS] = CONTINUE
                    counts = host.counts(label)
                    continue
                try:
                    ioctl(listener, SEND, answer, True)
                except OSError:
                    continue  # ENOENT: the call did not take place as notified
                try:
                    counts[call] += 1
                except KeyError:
                    counts[call] = 1
            if wakes:
                self._woken()
                if nobody_is_traced(listener):
                    return
                counts = host.counts(label)

    def _start_standby(self) -> None:
        self._standby = standby.start(self._listener, self._exchange, self._target, self._host.close_in_child)

    def _woken(self) -> None:
        """A child has ended, or the standby says that the target has."""
        self._wakes.clear()
        if self._standby in self._host.children_that_ended():
            self._start_standby()
        if self._host.look_at_target():
            self._exchange.status[standby.TARGET_GONE] = 1


def record(host: Recorder, _checked: Checked) -> None:
    """Serve until nobody is traced any more."""
    settings = host.settings
    guard = Guard(settings.target, settings.salvage)
    listener = handed_over(host, receive_listener)
    if listener is None:
        guard.release()
        host.look_after_target()
        return
    host.control.setblocking(False)
    supervisor = Supervisor(listener, settings.cookie, settings.target, host)
    supervisor.start()
    guard.release()
    supervisor.serve(labels.HARNESS)
    supervisor.close()
    host.target_has_ended()


_CHECK_CALLS, _CHECK_LABEL, _CHECK_ANSWER = 50, 1, 7

CHECKED = f"self-check passed: a child made {_CHECK_CALLS} system calls, and exactly these {_CHECK_CALLS} were recorded"


def notes() -> list[str]:
    """What there is to know of this backend on this machine."""
    from pytest_seccomp.linux import process, seccomp

    found = []
    if not process.has_capability(process.CAP_SYS_ADMIN):
        found.append("without CAP_SYS_ADMIN no_new_privs is set: sudo, ping and the like gain no privileges in tests")
    if not seccomp.flag_is_known(seccomp.FLAG_WAIT_KILLABLE_RECV):
        found.append("before Linux 5.19 a call that a signal interrupts while it is recorded is made again")
    return found


class _Check:
    """The host of a self-check, and the parent of the child that is traced."""

    def __init__(self, child: int, close_in_child: Callable[[], None]) -> None:
        self.close_in_child = close_in_child
        self.by_label: dict[int, dict[int, int]] = {}
        self._child = child
        self._status: int | None = None

    def counts(self, label: int) -> Counts:
        return self.by_label.setdefault(label, {})

    def read_messages(self) -> int:
        return _CHECK_ANSWER

    def children_that_ended(self) -> list[int]:
        # Before Linux 6.11 a zombie holds its filter: nobody is traced only when the child has been waited for
        self._wait(os.WNOHANG)
        return []

    def look_at_target(self) -> bool:
        return self._status is not None

    def child_status(self) -> int:
        """Wait for the child's end."""
        while self._status is None:
            self._wait(0)
        return self._status

    def _wait(self, options: int) -> None:
        if self._status is None:
            pid, status = os.waitpid(self._child, options)
            if pid:
                self._status = status


def self_check() -> Checked:
    """Trace a child that makes a known number of calls, and count them. Raises BackendError where they are not exactly
    those. For a process without other threads."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    cookie = new_cookie()
    parent = os.getpid()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            ours.close()
            status = _make_known_calls(theirs, cookie, parent)
        finally:
            os._exit(status)
    theirs.close()
    check = _Check(pid, ours.close)
    listener, message = receive_listener(ours)
    if listener is not None:
        supervisor = Supervisor(listener, cookie, pid, check)
        supervisor.start()
        supervisor.serve(0)
        supervisor.close()
    ours.close()
    status = check.child_status()
    if message:
        raise BackendError(*message.split("\n"))
    if os.WIFSIGNALED(status):
        raise BackendError(f"a child under the filter was killed by signal {os.WTERMSIG(status)}", REMEDY)
    counted = check.by_label.get(_CHECK_LABEL, {})
    if status or counted != {native().audit_arch << 32 | native().ioctl: _CHECK_CALLS}:
        raise BackendError(
            f"of {_CHECK_CALLS} calls of the self-check {sum(counted.values())} were recorded",
            "look for another seccomp filter or a tracer around this process",
        )
    return Checked([])


def _make_known_calls(control: _socket.socket, cookie: int, parent: int) -> int:
    from pytest_seccomp.linux import raw
    from pytest_seccomp.linux.marked import MarkedCalls
    from pytest_seccomp.linux.parent import end_with

    end_with(parent)  # under a listener that nobody has any more it would wait for ever, and pytest with it
    calls = MarkedCalls(cookie)
    call, number, nowhere = raw.function(), raw.Word(native().ioctl), raw.Word(2**32 - 1)
    try:
        attach(calls, cookie, control.fileno())
    except BackendError as error:
        control.send(f"{error.reason}\n{error.remedy}".encode())
        return 0
    calls.mark(_CHECK_LABEL, 0)
    for _ in range(_CHECK_CALLS):
        call(number, nowhere)
    return 0 if calls.mark(0, RING) == _CHECK_ANSWER else 1


def new_cookie() -> int:
    """A random number that no argument of a system call is by accident."""
    return int.from_bytes(os.urandom(8), "little") >> 2


def receive_listener(control: _socket.socket) -> tuple[int | None, str]:
    """What `attach` at the other end has led to: the listener, or a message in its place; neither at the end of the
    stream."""
    data, ancillary, _, _ = control.recvmsg(4096, _socket.CMSG_SPACE(4))
    for _, _, descriptors in ancillary:
        return int.from_bytes(descriptors[:4], "little"), ""
    return None, data.decode()
