"""The `ebpf` backend: the kernel itself counts, in BPF programs at its tracepoints; nothing is in the way of a call.

Needs CAP_BPF and CAP_PERFMON. No filter is installed on the code under test. A call that a filter denies does not reach
the tracepoint, and is not seen. Exact: a call that is not counted for lack of room is counted as lost.
"""

from __future__ import annotations

import os
import select

from pytest_seccomp.errors import BackendError
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.recorder import labels, protocol
from pytest_seccomp.recorder.checked import Checked
from pytest_seccomp.recorder.ebpf_counts import SlotCounts
from pytest_seccomp.recorder.ebpf_programs import RING, bank_of
from pytest_seccomp.recorder.ebpf_tracer import Tracer, share

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_seccomp.linux.marked import MarkedCalls
    from pytest_seccomp.recorder.ledger import Counts
    from pytest_seccomp.recorder.process import Recorder

READS_AT_ANY_TIME = True

_END_MS = 1000

_CHECK_CALLS = 50

CHECKED = (
    f"self-check passed: a child and its child made {_CHECK_CALLS} system calls each, and exactly these were counted"
)


class Marks:
    """pytest's marker calls. The kernel notes them, and the recorder is not waited for.

    But for every RING tests: a test's calls are counted where those of the RINGth before it were, which the recorder
    must have read.
    """

    def __init__(self, calls: MarkedCalls, control: int, send: Callable[..., None]) -> None:
        self._calls = calls
        self._control = control
        self._send = send
        self._decoder = protocol.Decoder()
        self._made = 0
        self._must_wait = False
        # What a child that pytest has forked for a test (pytest-forked) has told the recorder is not known here
        os.register_at_fork(after_in_parent=self._wait_next_time)

    def mark(self, label: int) -> bool:
        """From here on calls count for this label."""
        self._made += 1
        self._calls.mark(bank_of(label), 0)
        return True

    def ring(self, label: int) -> bool:
        """The same, and the recorder handles what was sent to it before it reads what is counted for this label."""
        if label < labels.FIRST_TEST:
            self._send("marked", self._made, False)
        elif self._must_wait or (label - labels.FIRST_TEST) // len(labels.PHASES) % RING == 0:
            return self.wait_for_recorder() and self.mark(label)
        return self.mark(label)

    def wait_for_recorder(self) -> bool:
        """Returns, when the recorder has read all that was sent to it, whether it has seen all markers."""
        self._must_wait = False
        self._send("marked", self._made, True)
        try:
            while data := self._calls.receive(self._control):
                for _, seen in self._decoder.feed(data):
                    return bool(seen)
        except OSError:
            pass  # EBADF: the code under test has closed the socket, as `send` has seen
        return False

    def _wait_next_time(self) -> None:
        self._must_wait = True


_attached: dict[int, int] = {}
"""By the pid of a process that is followed: the descriptor of its control socket."""


def attach(calls: MarkedCalls, _cookie: int, control: int, send: Callable[..., None]) -> Marks:
    """Have the calling thread followed, with all that it starts from now on. Raises BackendError."""
    process = os.getpid()
    before = _attached.get(process)
    if before is not None and before != control and _is_open(before):
        # With one cookie for both: the inner one's markers would be the outer one's, too
        raise BackendError(
            "this process is traced already, by the session in which this one runs",
            "trace only the outer run (--no-seccomp-trace switches the inner one off)",
        )
    _attached[process] = control
    marks = Marks(calls, control, send)
    marks.mark(labels.HARNESS)
    if not marks.wait_for_recorder():
        raise BackendError(
            "a marker call of this process was not seen", "look for a filter around it that denies prctl(2)"
        )
    return marks


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


class Recording:
    """One run, from the moment on in which pytest may be followed."""

    def __init__(self, host: Recorder, tracer: Tracer, counts: SlotCounts) -> None:
        self._host = host
        self._tracer = tracer
        self._counts = counts
        self._missed_before = tracer.missed_runs()
        self._test: int | None = None
        self._unseen = False
        self._to_finish = False

    def run(self) -> None:
        """Record until the session is over, or until pytest has ended."""
        host = self._host
        poll = select.poll()
        poll.register(host.control, select.POLLIN)
        if host.target.descriptor is not None:
            poll.register(host.target.descriptor, select.POLLIN)
        listening = True
        while not host.target.gone():
            poll.poll(host.target.wait_ms())
            self._read_messages()
            if host.closed and listening:
                listening = False
                poll.unregister(host.control)
                poll.poll(_END_MS)  # a process that ends loses its descriptors first
                if host.target.gone():
                    break
                self._take_all()
                host.has_been_closed()
            if host.has_no_more_to_do:
                return
        self._read_messages()
        self._take_all()
        host.target_has_ended()

    def _read_messages(self) -> None:
        if self._host.closed:
            return
        for message in self._host.receive():
            try:
                self._handle(message)
            except OSError:
                pass  # pytest has ended, and does not wait for the answer

    def _handle(self, message: protocol.Message) -> None:
        match message:
            case ("marked", int(made), bool(waits)):
                self._marked(made, waits=waits)
            case ("finish",):
                self._to_finish = True  # when it is known how many markers there were
            case ("begin", int(base), *_):
                self._take_test()
                self._test = base
                self._host.handle(message)
            case ("end", *_):
                self._take_test()
                self._host.handle(message)
            case ("collected",):
                self._take(labels.COLLECTION)
                self._host.handle(message)
            case _:
                self._host.handle(message)

    def _marked(self, made: int, *, waits: bool) -> None:
        """pytest says how many markers it has made. Children that speak for it make more."""
        seen = self._counts.markers() >= made
        if not seen and not self._unseen:
            self._unseen = True
            self._host.ledger.miss(None)
        if waits:
            # What was counted between a test's last reading and now, by a processor that was on its way
            for label in range(labels.FIRST_TEST, labels.FIRST_TEST + RING * len(labels.PHASES)):
                self._take(label, labels.HARNESS)
            self._host.send(("seen", seen))
        if self._to_finish:
            self._finish()

    def _finish(self) -> None:
        self._to_finish = False
        self._take_all()
        reasons = []
        if self._unseen:
            reasons.append("marker calls were not seen: is there a filter in the tests that denies prctl(2)?")
        if self._counts.lost:
            reasons.append(
                f"{self._counts.lost} calls with unusual numbers are not recorded: there are too many numbers"
            )
        if self._counts.unfollowed:
            reasons.append(f"{self._counts.unfollowed} threads are not traced: there are too many at a time")
        missed = self._tracer.missed_runs() - self._missed_before
        if missed:
            self._host.ledger.miss(None)
            reasons.append(
                f"{missed} times the kernel did not show a call, a fork or an end to the programs that count"
            )
        self._host.handle(("finish",), reasons)

    def _take_all(self) -> None:
        """Before the last lines are written."""
        self._take_test()
        self._take(labels.COLLECTION)
        self._take(labels.HARNESS)

    def _take_test(self) -> None:
        """Before the line of a test is written."""
        if self._test is not None:
            for offset in range(len(labels.PHASES)):
                self._take(self._test + offset)
            self._test = None

    def _take(self, label: int, counted_for: int | None = None) -> None:
        counts, ledger = self._counts, self._host.ledger
        lost, unfollowed = counts.lost, counts.unfollowed
        counts.take(label, ledger.counts(label if counted_for is None else counted_for))
        if counts.unfollowed != unfollowed:
            ledger.miss(None)
        elif counts.lost != lost:
            ledger.miss(counts.lost - lost)


class CheckedTracer(Checked):
    """A check that was passed, with the programs that were loaded for it."""

    __slots__ = ("tracer",)

    def __init__(self, tracer: Tracer) -> None:
        super().__init__([])
        self.tracer = tracer

    def close(self) -> None:
        """There is nothing to record."""
        self.tracer.close()


def record(host: Recorder, checked: CheckedTracer) -> None:
    """Record a run, with the programs that all processes of the run share."""
    settings = host.settings
    assert settings.spool is not None
    tracer, slot = share(os.path.dirname(settings.spool), checked.tracer, _CHECK_SLOT + 1)
    tracer.follow(settings.cookie, slot)
    recording = Recording(host, tracer, SlotCounts(tracer, slot, native().audit_arch))
    host.control.setblocking(False)
    host.ready()
    if tracer is not checked.tracer:
        checked.close()  # which may wait until no processor is in one of its programs any more
    recording.run()


def notes() -> list[str]:
    """What there is to know of this backend on this machine, where it works."""
    return ["while tests are traced, a call of any process of this machine costs some 0.1 us more"]


def self_check() -> CheckedTracer:
    """Trace a child, and a child of that, which make a known number of calls, and count them. Raises BackendError where
    they are not exactly those. For a process without other threads."""
    tracer = Tracer.load()
    try:
        _check(tracer)
    except BaseException:
        tracer.close()
        raise
    return CheckedTracer(tracer)


_CHECK_SLOT = 0
_CHILD, _GRANDCHILD = labels.FIRST_TEST, labels.FIRST_TEST + 1


def _check(tracer: Tracer) -> None:
    cookie = int.from_bytes(os.urandom(8), "little") >> 2
    tracer.follow(cookie, _CHECK_SLOT)
    pid = os.fork()
    if not pid:
        try:
            _make_known_calls(cookie)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    counted = SlotCounts(tracer, _CHECK_SLOT, native().audit_arch)
    for label in (_CHILD, _GRANDCHILD):
        counts: Counts = {}
        counted.take(label, counts)
        made = counts.get(native().audit_arch << 32 | native().ioctl, 0)
        if made != _CHECK_CALLS or (label == _CHILD and len(counts) > 1):
            raise BackendError(
                f"of {_CHECK_CALLS} calls of the self-check {made} were counted",
                "look for a sandbox around this process that denies prctl(2); otherwise please report it",
            )


def _make_known_calls(cookie: int) -> None:
    from pytest_seccomp.linux import raw
    from pytest_seccomp.linux.marked import MarkedCalls

    calls = MarkedCalls(cookie)
    call, number, nowhere = raw.function(), raw.Word(native().ioctl), raw.Word(2**32 - 1)

    def mark(label: int) -> None:
        calls.mark(bank_of(label), 0)

    def make() -> None:
        for _ in range(_CHECK_CALLS):
            call(number, nowhere)

    mark(_CHILD)
    make()
    mark(_GRANDCHILD)
    pid = os.fork()
    if not pid:
        make()
        os._exit(0)
    os.waitpid(pid, 0)
