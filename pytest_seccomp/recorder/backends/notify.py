"""The `notify` backend: every call of the traced threads stops until the recorder answers that it may go on.

Works as any user, also in a container without privileges: seccomp user notification (seccomp_unotify(2)) with an
answer of SECCOMP_USER_NOTIF_FLAG_CONTINUE. Exact by construction: a call that was not counted was not made.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` costs the recorder 3 ms at its start
import _socket
import errno
import mmap
import os

from pytest_seccomp.errors import BackendError
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.recorder import labels
from pytest_seccomp.recorder.checked import Checked
from pytest_seccomp.recorder.handover import Guard, handed_over
from pytest_seccomp.recorder.outside import Outside
from pytest_seccomp.recorder.policies import Policies
from pytest_seccomp.recorder.refused import call_of, explained
from pytest_seccomp.recorder.supervisor import Supervisor

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_seccomp.linux.marked import MarkedCalls
    from pytest_seccomp.linux.shared_words import Words
    from pytest_seccomp.recorder.ledger import Counts
    from pytest_seccomp.recorder.process import Recorder

REMEDY = (
    "needs Linux 5.5 or newer with CONFIG_SECCOMP_FILTER, and no container or sandbox around it that denies seccomp(2) "
    "or prctl(2); gVisor and other kernels in user space do not have it"
)

ANOTHER_LISTENER = (
    "this process is under another seccomp listener already, and the kernel allows one: it was started by a traced "
    "pytest, or by a container runtime or sandbox that uses seccomp notification itself"
)

READS_AT_ANY_TIME = False


def watching_filter(cookie: int) -> bytes:
    """The filter of a traced thread: every call is notified, but for messages to the recorder, with the cookie."""
    from pytest_seccomp.linux import marked, seccomp

    return marked.watching_filter(native(), cookie, seccomp.RET_USER_NOTIF)


def selecting_filter(cookie: int, program: bytes) -> bytes:
    """The filter of a thread that is not traced: of its calls those are notified for which `program` says so."""
    from pytest_seccomp.linux import marked, seccomp

    return marked.watching_filter(native(), cookie, seccomp.RET_USER_NOTIF, program)


class Marks:
    """pytest's markers. The label is a word in memory that pytest shares with the recorder, which looks at it whenever
    it has received a call: no call is made for it."""

    def __init__(self, calls: MarkedCalls, label: Words) -> None:
        self._ring = calls.ring
        self._label = label

    def mark(self, label: int) -> bool:
        """From here on calls count for this label."""
        self._label[0] = label
        return True

    def ring(self, label: int) -> bool:
        """The same, and the recorder has handled what was sent to it, when this returns. Returns whether there was a
        recorder to do so."""
        if self._ring() is None:
            return False
        return self.mark(label)

    def ask(self, _label: int) -> bool:
        """The recorder has handled what was sent to it, when this returns. Returns as `ring` does."""
        return self._ring() is not None


def attach(calls: MarkedCalls, cookie: int, control: int, _send: object = None, program: bytes | None = None) -> Marks:
    """Put the calling thread, and all that it starts from now on, under the filter, and give the recorder at the other
    end of `control` the listener. With a `program`, only those calls are notified for which that filter says so. Raises
    BackendError with nothing changed, but for no_new_privs."""
    from pytest_seccomp.linux import process, seccomp, shared_words

    flags = seccomp.FLAG_NEW_LISTENER
    # Without SPEC_ALLOW, kernels before 5.16 slow every filtered thread down by their defences against Spectre.
    for flag in (seccomp.FLAG_SPEC_ALLOW, seccomp.FLAG_WAIT_KILLABLE_RECV):
        if seccomp.flag_is_known(flag):
            flags |= flag
    try:
        words = shared_words.create(1)
        try:
            label = shared_words.mapped(words, 1)
            if not process.has_capability(process.CAP_SYS_ADMIN):
                seccomp.set_no_new_privs()
            code = watching_filter(cookie) if program is None else selecting_filter(cookie, program)
            calls.install_and_hand_over(code, flags, control, words)
        finally:
            os.close(words)
    except OSError as error:
        raise explain(error) from error
    return Marks(calls, label)


def explain(error: OSError) -> BackendError:
    """Why the listener could not be installed, and what to do."""
    if call_of(error) not in ("", "seccomp"):
        return explained(error)
    if error.errno == errno.EBUSY:
        return BackendError(
            ANOTHER_LISTENER,
            "run it outside of that, or trace only the outer run (--no-seccomp-trace switches the inner one off)",
        )
    if error.errno in (errno.ENOSYS, errno.EINVAL):
        return BackendError(f"no seccomp user notification here ({error.strerror})", REMEDY)
    if error.errno in (errno.EPERM, errno.EACCES):
        return BackendError(
            f"seccomp(2) is refused here ({error.strerror})",
            "allow the system call seccomp in the profile of the container or sandbox around it",
        )
    return BackendError(f"seccomp: {error.strerror}", REMEDY)


def record(host: Recorder, _checked: Checked) -> None:
    """Serve until nobody is traced any more."""
    settings = host.settings
    guard = Guard(settings.target, settings.salvage)
    traced = handed_over(host, receive_listener)
    if traced is None:
        guard.release()
        host.look_after_target()
        return
    host.control.setblocking(False)
    supervisor = Supervisor(*traced, settings.cookie, settings.target, host)
    supervisor.start()
    guard.release()
    supervisor.serve()
    supervisor.close()
    host.wait_for_targets_end()  # from Linux 6.11 on, a process that ends is traced no more before it is gone
    host.target_has_ended()


_CHECK_CALLS, _CHECK_LABEL, _CHECK_ANSWER = 50, 1, 7
_CHECK_SECONDS = 10
"""A child that has no one to hand its listener to waits for ever. It takes a millisecond."""

CHECKED = f"self-check passed: a child made {_CHECK_CALLS} system calls, and exactly these {_CHECK_CALLS} were recorded"


_NOT_HANDED_OVER = (
    f"a child under the filter has not handed its listener over within {_CHECK_SECONDS} s\n"
    "look for a sandbox around this process that denies sendmsg(2)"
)


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
        self.policies = Policies()
        self.outside = Outside()
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
    ours.settimeout(_CHECK_SECONDS)
    try:
        traced, message = receive_listener(ours)
    except TimeoutError:
        os.kill(pid, _signal.SIGKILL)
        traced, message = None, _NOT_HANDED_OVER
    if traced is not None:
        try:
            supervisor = Supervisor(*traced, cookie, pid, check)
            supervisor.start()
            supervisor.serve()
            supervisor.close()
        except OSError:
            os.kill(pid, _signal.SIGKILL)  # it would wait, while another backend is taken
            raise
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

    calls = MarkedCalls(cookie)
    call, number, nowhere = raw.function(), raw.Word(native().ioctl), raw.Word(2**32 - 1)
    try:
        end_with(parent)  # under a listener that nobody has any more it would wait for ever, and pytest with it
        marks = attach(calls, cookie, control.fileno())
    except (BackendError, OSError) as error:
        refused = explained(error)
        control.send(f"{refused.reason}\n{refused.remedy}".encode())
        return 0
    marks.mark(_CHECK_LABEL)
    for _ in range(_CHECK_CALLS):
        call(number, nowhere)
    marks.mark(labels.HARNESS)
    return 0 if calls.ring() == 1 + _CHECK_ANSWER else 1


def new_cookie() -> int:
    """A random number that no argument of a system call is by accident."""
    return int.from_bytes(os.urandom(8), "little") >> 2


def receive_listener(control: _socket.socket) -> tuple[tuple[int, memoryview] | None, str]:
    """What `attach` at the other end has led to: the listener and the word with the label for which calls count, or a
    message in their place; neither at the end of the stream."""
    data, ancillary, _, _ = control.recvmsg(4096, _socket.CMSG_SPACE(8))
    for _, _, descriptors in ancillary:
        listener, words = memoryview(descriptors).cast("i")
        memory = mmap.mmap(words, 8)
        os.close(words)
        return (listener, memoryview(memory).cast("Q")), ""
    return None, data.decode()
