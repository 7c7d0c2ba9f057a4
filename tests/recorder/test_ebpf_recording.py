"""What the recorder makes of the counts of the `ebpf` backend: for what is missing there is a reason, and a line."""

from typing import Any, cast

import pytest

from pytest_seccomp.recorder import ebpf_programs, labels
from pytest_seccomp.recorder.ebpf_counts import SlotCounts
from pytest_seccomp.recorder.ebpf_programs import MARKERS, RARE_LOST, UNFOLLOWED, bank_of, first_word
from pytest_seccomp.recorder.ebpf_recording import Recording
from pytest_seccomp.recorder.outside import Outside

ARCH, SLOT, TEST = 0xC000003E, 2, labels.FIRST_TEST


class Programs:
    """A tracer whose counts are set by hand."""

    def __init__(self) -> None:
        self.memory = bytearray(8 * ebpf_programs.SLOTS * ebpf_programs.BANKS * ebpf_programs.WORDS)
        self.words = memoryview(self.memory).cast("Q")
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


class Recorded:
    """A recording of these, and the messages that it gets."""

    def __init__(self) -> None:
        self.programs, self.host = Programs(), Host()
        counts = SlotCounts(cast("Any", self.programs), SLOT, ARCH)
        self.recording = Recording(cast("Any", self.host), cast("Any", self.programs), counts)

    def tell(self, *message: object) -> None:
        self.recording._handle(message)

    def finish(self, markers: int = 0) -> list[str]:
        """The reasons for the trace to be incomplete."""
        self.tell("finish")
        assert ("finish",) not in [message for message, _ in self.host.handled]  # before it is known who is missing
        self.tell("marked", markers, False)
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


def test_markers_that_were_not_seen(recorded: Recorded) -> None:
    recorded.programs.count(labels.HARNESS, MARKERS, 4)
    recorded.tell("marked", 4, True)
    recorded.tell("marked", 5, True)
    assert recorded.host.sent == [("seen", True), ("seen", False)]
    assert recorded.finish(5) == ["marker calls were not seen: is there a filter in the tests that denies prctl(2)?"]
    assert recorded.host.missed == [None]


def test_the_recorder_does_not_end_before_the_last_message(recorded: Recorded) -> None:
    recorded.finish()
    recorded.tell("merged")
    assert ("merged",) not in [message for message, _ in recorded.host.handled]
    recorded.tell("marked", 0, False)
    assert recorded.host.handled[-1] == (("merged",), [])


def test_what_is_counted_after_a_test_was_read_is_nobody_elses(recorded: Recorded) -> None:
    recorded.tell("begin", TEST, '"a"', 0)
    recorded.tell("end", TEST, '"passed"')
    recorded.programs.count(TEST + labels.CALL, 39, 1)
    recorded.tell("marked", 0, True)
    again = TEST + ebpf_programs.RING * len(labels.PHASES)
    recorded.tell("begin", again, '"b"', 0)
    recorded.tell("end", again, '"passed"')
    assert recorded.host.by_label[labels.HARNESS] == {ARCH << 32 | 39: 1}
    assert not recorded.host.by_label.get(again + labels.CALL)


def test_a_test_that_did_not_end_is_read_before_the_next(recorded: Recorded) -> None:
    recorded.tell("begin", TEST, '"a"', 0)
    recorded.programs.count(TEST, 39, 3)
    recorded.tell("begin", TEST + 4, '"b"', 0)
    assert recorded.host.by_label[TEST] == {ARCH << 32 | 39: 3}
    assert recorded.host.by_label.get(TEST + 4) is None
