"""Counts by label, architecture and number, and the spool's lines that are made of them."""

from pytest_seccomp.recorder.labels import COLLECTION, HARNESS, PHASES
from pytest_seccomp.recorder.spool import Spool

Counts = dict[int, int]
"""How often a call was made; the key has its number in the low 32 bits and AUDIT_ARCH_* in the high ones, as struct
seccomp_data has them."""


class Ledger:
    """Counts until it is closed. A test's counts leave the memory with its line.

    `members` are the JSON members that all lines have in common: worker and backend.
    """

    __slots__ = ("_by_label", "_collected", "_members", "_open", "_spool", "closed", "lost")

    def __init__(self, spool: Spool, members: str) -> None:
        self._spool = spool
        self._members = members
        self._by_label: dict[int, Counts] = {}
        self._open: tuple[int, str] | None = None
        self._collected = False
        self.closed = False
        self.lost: int | None = 0

    def counts(self, label: int) -> Counts:
        """Where the calls of a label are counted. After the end: nowhere that is read."""
        if self.closed:
            return {}
        counts = self._by_label.get(label)
        if counts is None:
            counts = self._by_label[label] = {}
        return counts

    def begin(self, base: int, members: str) -> None:
        """A run of a test begins; one that was not ended is written without an outcome."""
        self._give_up()
        self._open = (base, members)

    def end(self, base: int, outcome: str) -> None:
        """The run of a test has ended; `outcome` is a JSON member."""
        if self._open is not None and self._open[0] == base:
            self._write_test(self._open, outcome, complete=True)
            self._open = None

    def collected(self) -> None:
        """The collection has ended: its line is safe from now on."""
        if not self._collected:
            self._collected = True
            self._write("collect", "", [("collection", self._by_label.pop(COLLECTION, {}))], complete=True)

    def close(self, reasons: list[str]) -> bool:
        """Write what is left and the end of the spool. Returns whether the trace is complete, which it is without
        `reasons` for the contrary and if all was written."""
        if self.closed:
            return False
        self._give_up()
        self.collected()
        self._write("harness", "", [("harness", self._by_label.pop(HARNESS, {}))], complete=not reasons)
        self.closed = True
        self._by_label.clear()
        if self._spool.error:
            reasons.append(self._spool.error)
        complete = not reasons
        self._spool.write(
            f'{{"kind": "end", "complete": {_json(complete)}, "lost": {_json(self.lost)}, '
            f'"reasons": {_json_texts(reasons)}}}'
        )
        self._spool.close()
        return complete

    def forget(self) -> None:
        """Let go of the spool in a process that has inherited it and does not write it."""
        if not self.closed:
            self._spool.forget()

    def _give_up(self) -> None:
        if self._open is not None:
            self._write_test(self._open, '"outcome": null', complete=False)
            self._open = None

    def _write_test(self, test: tuple[int, str], outcome: str, *, complete: bool) -> None:
        base, members = test
        phases = [(phase, self._by_label.pop(base + offset, {})) for offset, phase in enumerate(PHASES)]
        self._write("test", f"{members}, {outcome}, ", phases, complete=complete)

    def _write(self, kind: str, members: str, phases: list[tuple[str, Counts]], *, complete: bool) -> None:
        calls: dict[int, list[str]] = {}
        for phase, counts in phases:
            for call, count in counts.items():
                calls.setdefault(call, []).append(f'"{phase}": {count}')
        syscalls = ", ".join(
            f"[{call >> 32}, {_signed(call & 0xFFFFFFFF)}, {{{', '.join(counts)}}}]" for call, counts in calls.items()
        )
        self._spool.write(
            f'{{"kind": "{kind}", {members}{self._members}, "complete": {_json(complete)}, "lost": {_json(self.lost)}, '
            f'"syscalls": [{syscalls}]}}'
        )


def _signed(number: int) -> int:
    """The number of a call is an int in struct seccomp_data: system call -1 is one that a program can make."""
    return number - (1 << 32) if number >> 31 else number


def _json(value: "bool | int | None") -> str:
    if value is None:
        return "null"
    return str(value).lower()


def _json_texts(texts: list[str]) -> str:
    if not texts:
        return "[]"
    import json  # 12 ms, which only a trace that went wrong pays for

    return json.dumps(texts)
