"""What has been counted in the banks of a slot since it was read last."""

from __future__ import annotations

from itertools import compress
from operator import ne

from pytest_seccomp.recorder.ebpf_programs import (
    BANKS,
    MARKERS,
    NUMBERS,
    RARE,
    RARE_LOST,
    SLOTS,
    UNFOLLOWED,
    WORDS,
    bank_of,
    first_word,
)

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pytest_seccomp.linux.caller import Caller
    from pytest_seccomp.recorder.ebpf_tracer import Tracer
    from pytest_seccomp.recorder.ledger import Counts


_YES = (1).to_bytes(8, "little")


class SlotCounts:
    """Counts of one pytest process, read by its recorder."""

    def __init__(self, tracer: Tracer, slot: int, audit_arch: int) -> None:
        self._tracer = tracer
        self._slot = slot
        self._native = audit_arch << 32
        self._read = [bytes(8 * WORDS)] * BANKS
        self._rare_read: dict[bytes, int] = {}
        self.unfollowed = 0
        """Threads, so far, whose calls are not counted."""
        self.lost = 0
        """Calls, so far, that are not counted."""
        self._watches = False

    @property
    def slot(self) -> int:
        """That of the pytest process."""
        return self._slot

    def markers(self) -> int:
        """How many marker calls have been seen so far."""
        return self._tracer.words[first_word(self._slot, 0) + MARKERS]

    def have_begun(self, base: int) -> None:
        """Let pytest know that all is read that was said to the recorder before the test with this base began."""
        self._tracer.current[SLOTS + self._slot] = base

    def take(self, label: int, counts: Counts) -> None:
        """Add to `counts` the calls that were counted for a label, or another of its bank, since this was done last."""
        bank = bank_of(label)
        first = first_word(self._slot, bank)
        content = self._tracer.words[first : first + WORDS].tobytes()
        if content == self._read[bank]:
            return
        now, before = memoryview(content).cast("Q"), memoryview(self._read[bank]).cast("Q")
        self._read[bank] = content
        for word in compress(range(WORDS), map(ne, now, before)):
            count = now[word] - before[word]
            if word < NUMBERS:
                call = self._native | word
                counts[call] = counts.get(call, 0) + count
            elif word == RARE:
                self._take_rare(first, counts)
            elif word == RARE_LOST:
                self.lost += count
            elif word == UNFOLLOWED:
                self.unfollowed += count

    def watch(self, allowed: Collection[int]) -> None:
        """From now on note who makes other calls than these. Raises OSError."""
        first, maps = self._slot * WORDS, self._tracer.maps
        for number in range(NUMBERS):
            if self._native | number not in allowed:
                maps.watched.update((first + number).to_bytes(4, "little"), _YES)
        maps.watched.update((first + RARE).to_bytes(4, "little"), _YES)
        self._watches = True

    def caller(self, label: int, call: int) -> Caller | None:
        """Who made a call that is watched, for a label or another of its bank: the first since this was asked last. The
        executable is not known."""
        key = first_word(self._slot, bank_of(label)).to_bytes(8, "little") + call.to_bytes(8, "little")
        value = self._tracer.maps.callers.lookup(key) if self._watches else None
        if value is None:
            return None
        self._tracer.maps.callers.delete(key)
        return int.from_bytes(value[4:8], "little"), value[8:].partition(b"\0")[0], None

    def forget_callers(self, labels: Iterable[int]) -> None:
        """Those of tests of whom nobody has asked, because their calls were counted too late."""
        if not self._watches:
            return
        banks = {first_word(self._slot, bank_of(label)) for label in labels}
        callers = self._tracer.maps.callers
        for key in callers.keys():  # noqa: SIM118 - no mapping
            if int.from_bytes(key[:8], "little") in banks:
                callers.delete(key)

    def _take_rare(self, first: int, counts: Counts) -> None:
        bank = first.to_bytes(8, "little")
        rare = self._tracer.maps.rare
        for key in rare.keys():  # noqa: SIM118 - no mapping
            if key.startswith(bank):
                count = int.from_bytes(rare.lookup(key) or b"", "little")
                call = int.from_bytes(key[8:], "little")
                counts[call] = counts.get(call, 0) + count - self._rare_read.get(key, 0)
                self._rare_read[key] = count
