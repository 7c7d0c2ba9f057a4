"""What strace saw, as an independent witness: it stops each call before seccomp does.

Format: strace(1), with -f (a pid before each line), -n (the number in brackets) and -s 0.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OPTIONS = ("-f", "-n", "-s", "0", "-o")
"""Before the name of the log."""

MARKERS = """
    from pytest_seccomp.recorder.backends.notify import Marks

    known_init, known_mark = Marks.__init__, Marks.mark

    def init(self, calls, label):
        self.calls = calls
        known_init(self, calls, label)

    def mark(self, label):
        try:
            self.calls.send(2_000_000_000 + label, b"")
        except OSError:
            pass  # there is no such descriptor
        return known_mark(self, label)

    Marks.__init__, Marks.mark = init, mark
"""
"""A plugin for the run that strace watches: a marker is no call, so each makes one as well that is in no trace, because
it carries the cookie, and that strace sees."""

_MARKER = re.compile(r"sendmsg\(2(\d{9}), ")
_ENTRY = re.compile(r"(?P<pid>\d+) +\[ *(?P<number>\d+)\] (?P<resumed><\.\.\. )?(?P<text>\w+.*)")
_FORKS = ("clone", "clone3", "fork", "vfork")


@dataclass(slots=True)
class Call:
    """A call, in the order in which they were begun. `text` is all that strace prints but for the number."""

    pid: int
    number: int
    text: str

    @property
    def label(self) -> int | None:
        """The label that a marker sets."""
        marker = _MARKER.match(self.text)
        return None if marker is None else int(marker[1])

    @property
    def child(self) -> int | None:
        """The process or thread that it made."""
        if not self.text.startswith(_FORKS):
            return None
        result = re.search(r"\) += (\d+)$", self.text)
        return None if result is None else int(result[1])

    @property
    def restarted(self) -> bool:
        """Whether a signal interrupted it, and it is made again. Where that is before seccomp's listener had received
        it, strace sees two calls, and the listener one."""
        return "= ? ERESTART" in self.text


def read(log: Path) -> list[Call]:
    """The calls in a log."""
    calls: list[Call] = []
    unfinished: dict[int, Call] = {}
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        entry = _ENTRY.match(line)
        if entry is None:
            continue  # a signal, or an end
        pid = int(entry["pid"])
        if entry["resumed"]:
            unfinished.pop(pid).text += entry["text"]
            continue
        call = Call(pid, int(entry["number"]), entry["text"])
        calls.append(call)
        if call.text.endswith("<unfinished ...>"):
            unfinished[pid] = call
    return calls


def by_label(calls: list[Call], *, restarted: bool = False) -> dict[int, Counter[int]]:
    """Calls by number between the markers of the first process, of itself and of all that it started after its first
    marker: what it started before is no part of what is traced. With `restarted`, only calls that are made again."""
    counts: dict[int, Counter[int]] = {}
    for label, call in _labelled(calls):
        counts.setdefault(label, Counter())
        if call.label is None and (call.restarted or not restarted):
            counts[label][call.number] += 1
    return counts


def _labelled(calls: list[Call]) -> Iterator[tuple[int, Call]]:
    first = calls[0].pid
    traced = {first}
    label: int | None = None
    for call in calls:
        if call.pid == first and call.label is not None:
            label = call.label
        if label is not None and call.pid in traced:
            if call.child is not None:
                traced.add(call.child)
            yield label, call
