"""The `ebpf` backend: the kernel itself counts, in BPF programs at its tracepoints; nothing is in the way of a call.

Needs CAP_BPF and CAP_PERFMON. No filter is installed on the code under test. A call that a filter denies does not reach
the tracepoint, and is not seen. Exact: a call that is not counted for lack of room is counted as lost.
"""

from __future__ import annotations

import os

from pytest_seccomp.errors import BackendError, RecorderError
from pytest_seccomp.linux import shared_words
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.process import run_as_soon_as_woken
from pytest_seccomp.recorder import ebpf_check, labels, protocol
from pytest_seccomp.recorder.checked import Checked
from pytest_seccomp.recorder.ebpf_counts import SlotCounts
from pytest_seccomp.recorder.ebpf_programs import AHEAD, BANKS, SLOTS, bank_of, first_word
from pytest_seccomp.recorder.ebpf_recording import Recording
from pytest_seccomp.recorder.ebpf_tracer import Tracer, explain, share

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_seccomp.linux.marked import MarkedCalls
    from pytest_seccomp.recorder.process import Recorder

READS_AT_ANY_TIME = True

CHECKED = (
    f"self-check passed: a child and its child made {ebpf_check.CALLS} system calls each, and exactly these were "
    "counted"
)


class Marks:
    """pytest's markers. Each is a word in memory that pytest shares with the kernel: no call is made for it, and the
    recorder is not waited for.

    But where pytest is AHEAD tests ahead of it: the banks of a test are used again, and the recorder must have read
    them before.
    """

    def __init__(self, calls: MarkedCalls, control: int, send: Callable[..., None]) -> None:
        """Have the calling thread followed. Raises BackendError or RecorderError."""
        self._calls = calls
        self._control = control
        self._send = send
        self._decoder = protocol.Decoder()
        self._must_wait = False
        calls.mark(labels.HARNESS, bank_of(labels.HARNESS))
        answer = self._ask("attach")
        try:
            match answer, calls.descriptors:
                case ("attach", True, int(slot)), [descriptor]:
                    self._slot = slot
                    self._current = shared_words.mapped(descriptor, 2 * SLOTS)
                    self._words = [first_word(slot, bank) for bank in range(BANKS)]
                case ("attach", True, _), _:
                    raise BackendError("no file descriptor is free for a moment", "raise the limit (ulimit -n)")
                case None, _:
                    raise RecorderError("the recorder ended before pytest was traced: run again")
                case _:
                    raise BackendError(
                        "a marker call of this process was not seen", "look for a filter around it that denies prctl(2)"
                    )
        except OSError as error:
            raise BackendError(f"a map cannot be mapped: {error.strerror}", "use the backend notify") from error
        finally:
            while calls.descriptors:
                os.close(calls.descriptors.pop())
        # What a child that pytest has forked for a test (pytest-forked) has told the recorder is not known here
        os.register_at_fork(after_in_parent=self._wait_next_time)

    def mark(self, label: int) -> bool:
        """From here on calls count for this label."""
        self._current[self._slot] = self._words[bank_of(label)]
        return True

    def ring(self, label: int) -> bool:
        """The same, for the first label of a test once its banks are free."""
        if label < labels.FIRST_TEST:
            return self.mark(label)
        if self._must_wait or label - self._current[SLOTS + self._slot] > AHEAD * len(labels.PHASES):
            self._must_wait = False
            if self._ask("read", label) is None:
                return False
        return self.mark(label)

    def ask(self, _label: int) -> bool:
        """The recorder reads messages at any time."""
        return True

    def _ask(self, *message: object) -> protocol.Message | None:
        """Wait until the recorder has read all that was sent to it. Returns its answer, None where there is no recorder
        any more."""
        self._send(*message)
        try:
            while data := self._calls.receive(self._control):
                for answer in self._decoder.feed(data):
                    if answer[0] == message[0]:
                        return answer
        except OSError:
            pass  # EBADF: the code under test has closed the socket, as `send` has seen
        return None

    def _wait_next_time(self) -> None:
        self._must_wait = True


def attach(calls: MarkedCalls, _cookie: int, control: int, send: Callable[..., None]) -> Marks:
    """Have the calling thread followed, with all that it starts from now on. Raises BackendError or RecorderError."""
    return Marks(calls, control, send)


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
    tracer, slot = share(os.path.dirname(settings.spool), checked.tracer, ebpf_check.SLOT + 1)
    tracer.follow(settings.cookie, slot)
    recording = Recording(host, tracer, SlotCounts(tracer, slot, native().audit_arch))
    host.control.setblocking(False)
    # pytest waits where it is too far ahead, on a busy machine for as long as others have the processors
    run_as_soon_as_woken()
    try:
        host.ready()
    except OSError:
        pass  # pytest has ended, which is seen
    if tracer is not checked.tracer:
        checked.close()  # which may wait until no processor is in one of its programs any more
    recording.run()


def notes() -> list[str]:
    """What there is to know of this backend on this machine, where it works."""
    return ["while tests are traced, a call of any process of this machine costs some 0.05 us more"]


def self_check() -> CheckedTracer:
    """Trace a child, and a child of that, which make a known number of calls, and count them. Raises BackendError where
    they are not exactly those. For a process without other threads."""
    ebpf_check.expect_to_survive()
    tracer = Tracer.load()
    try:
        ebpf_check.check(tracer)
    except OSError as error:
        tracer.close()
        raise explain(error) from error
    except BaseException:
        tracer.close()
        raise
    return CheckedTracer(tracer)
