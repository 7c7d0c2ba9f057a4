"""What the recorder makes of the counts of the `ebpf` backend: for what is missing there is a reason, and a line."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_seccomp.recorder import ebpf_programs, labels
from pytest_seccomp.recorder.ebpf_counts import SlotCounts
from pytest_seccomp.recorder.ebpf_programs import AHEAD, MARKERS, RARE_LOST, UNFOLLOWED, bank_of, first_word
from pytest_seccomp.recorder.ebpf_recording import Recording
from pytest_seccomp.recorder.outside import Outside

ARCH, SLOT, TEST = 0xC000003E, 2, labels.FIRST_TEST


class Programs:
    """A tracer whose counts are set by hand."""

    def __init__(self) -> None:
        self.memory = bytearray(8 * ebpf_programs.SLOTS * ebpf_programs.BANKS * ebpf_programs.WORDS)
        self.words = memoryview(self.memory).cast("Q")
        self.current = [0] * (2 * ebpf_programs.SLOTS)
        self.maps = SimpleNamespace(current=SimpleNamespace(descriptor=4711))
        self.missed = 5

    def count(self, label: int, word: int, count: int) -> None:
        self.words[first_word(SLOT, bank_of(label)) + word] += count

    def missed_runs(self) -> int:
        return self.missed


class Host:
    """A recorder that notes what the backend does, and its ledger."""

    def __init__(self) -> None:
        self.ledger = self
        self.by_label: dict[int, dict[int, int]] = {}
        self.missed: list[int | None] = []
        self.handled: list[tuple[Any, list[str]]] = []
        self.sent: list[Any] = []
        self.outside = Outside()

    def counts(self, label: int) -> dict[int, int]:
        return self.by_label.setdefault(label, {})

    def miss(self, count: int | None) -> None:
        self.missed.append(count)

    def handle(self, message: Any, reasons: list[str] | None = None) -> None:
        self.handled.append((message, reasons or []))

    def send(self, message: Any) -> None:
        self.sent.append(message)

    def pass_on(self, message: Any, descriptor: int) -> None:
        self.sent.append((message, descriptor))


class Recorded:
    """A recording of these, and the messages that it gets."""

    def __init__(self) -> None:
        self.programs, self.host = Programs(), Host()
        counts = SlotCounts(cast("Any", self.programs), SLOT, ARCH)
        self.recording = Recording(cast("Any", self.host), cast("Any", self.programs), counts)

    def tell(self, *message: object) -> None:
        self.recording._handle(message)

    def finish(self) -> list[str]:
        """The reasons for the trace to be incomplete."""
        self.tell("finish")
        message, reasons = self.host.handled[-1]
        assert message == ("finish",)
        return reasons


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def test_nothing_is_missing(recorded: Recorded) -> None:
    recorded.tell("begin", TEST, '"a"', 0)
    recorded.programs.count(TEST, 39, 3)
    recorded.programs.count(TEST + labels.CALL, 39, 4)
    recorded.tell("end", TEST, '"passed"')
    assert recorded.host.by_label[TEST] == {ARCH << 32 | 39: 3}
    assert recorded.host.by_label[TEST + labels.CALL] == {ARCH << 32 | 39: 4}
    assert recorded.finish() == []
    assert recorded.host.missed == []


def test_calls_without_room_are_those_of_their_test(recorded: Recorded) -> None:
    recorded.tell("begin", TEST, '"a"', 0)
    recorded.programs.count(TEST, RARE_LOST, 3)
    recorded.tell("end", TEST, '"passed"')
    assert recorded.host.missed == [3]
    reason = "3 calls with unusual numbers are not recorded: there are too many numbers"
    assert recorded.finish() == [reason]


def test_of_threads_without_room_nobody_knows_the_calls(recorded: Recorded) -> None:
    recorded.programs.count(labels.COLLECTION, UNFOLLOWED, 2)
    recorded.tell("collected")
    assert recorded.host.missed == [None]
    assert recorded.finish() == ["2 threads are not traced: there are too many at a time"]


def test_runs_that_the_kernel_left_out(recorded: Recorded) -> None:
    recorded.programs.missed += 7
    (reason,) = recorded.finish()
    assert reason == "7 times the kernel did not show a call, a fork or an end to the programs that count"
    assert recorded.host.missed == [None]


@pytest.mark.parametrize("markers", [0, 1])
def test_whether_the_marker_of_pytest_was_seen(recorded: Recorded, markers: int) -> None:
    recorded.programs.count(labels.HARNESS, MARKERS, markers)
    recorded.tell("attach")
    assert recorded.host.sent == [(("attach", bool(markers), SLOT), 4711)]


@pytest.mark.parametrize("waits", [True, False])
def test_what_is_counted_after_a_test_was_read_is_nobody_elses(recorded: Recorded, waits: bool) -> None:
    recorded.tell("begin", TEST, '"a"', 0)
    recorded.tell("end", TEST, '"passed"')
    recorded.programs.count(TEST + labels.CALL, 39, 1)
    later = TEST + AHEAD * len(labels.PHASES)
    if waits:
        recorded.tell("read", later)
        assert recorded.host.sent == [("read",)]
    else:
        recorded.tell("begin", later, '"later"', 0)
    again = TEST + ebpf_programs.RING * len(labels.PHASES)
    recorded.tell("begin", again, '"b"', 0)
    recorded.tell("end", again, '"passed"')
    assert recorded.host.by_label[labels.HARNESS] == {ARCH << 32 | 39: 1}
    assert not recorded.host.by_label.get(again + labels.CALL)


def test_pytest_knows_how_far_it_is_read(recorded: Recorded) -> None:
    read = ebpf_programs.SLOTS + SLOT
    recorded.tell("begin", TEST, '"a"', 0)
    recorded.tell("begin", TEST + 4, '"b"', 0)
    assert recorded.programs.current[read] == TEST + 4
    recorded.tell("read", TEST)  # a child of pytest's has said the former
    assert recorded.programs.current[read] == TEST


def test_a_test_that_did_not_end_is_read_before_the_next(recorded: Recorded) -> None:
    recorded.tell("begin", TEST, '"a"', 0)
    recorded.programs.count(TEST, 39, 3)
    recorded.tell("begin", TEST + 4, '"b"', 0)
    assert recorded.host.by_label[TEST] == {ARCH << 32 | 39: 3}
    assert recorded.host.by_label.get(TEST + 4) is None
