"""Counts by label, architecture and number, and the spool's lines that are made of them."""

from pytest_seccomp.recorder.labels import COLLECTION, FIRST_TEST, HARNESS, PHASES
from pytest_seccomp.recorder.spool import Spool

Counts = dict[int, int]
"""How often a call was made; the key has its number in the low 32 bits and AUDIT_ARCH_* in the high ones, as struct
seccomp_data has them."""


class Ledger:
    """Counts until it is closed. A test's counts leave the memory with its line.

    `worker` and `backend` are JSON values, as is what `begin` and `end` take. Lines are written as `trace.spool` reads
    them fastest: without spaces, members and phases in its order.
    """

    __slots__ = (
        "_backend", "_blocks", "_by_label", "_collected", "_missed", "_misses", "_open", "_reasons", "_sandboxes",
        "_spool", "_worker", "closed", "lost",
    )  # fmt: skip

    def __init__(self, spool: Spool, worker: str, backend: str) -> None:
        self._spool = spool
        self._worker = worker
        self._backend = backend
        self._by_label: dict[int, Counts] = {}
        self._open: tuple[int, str, int] | None = None
        self._collected = False
        self._missed: dict[str, int | None] = {}
        """How many calls are missing, by the kind of the line."""
        self._sandboxes: list[str] = []
        """Of the open test, as its line has them."""
        self._reasons: list[str] = []
        """Why sandboxes have made the trace incomplete."""
        self._blocks: dict[int, tuple[int, int, list[Counts]]] = {}
        """By number: the base of the test, how often calls had been missed, and the counts of its labels, when the
        block began."""
        self._misses = 0
        self.closed = False
        self.lost: int | None = 0
        """How many calls are known to be missing, None where that is not known."""

    def counts(self, label: int) -> Counts:
        """Where the calls of a label are counted. After the end: nowhere that is read."""
        if self.closed:
            return {}
        counts = self._by_label.get(label)
        if counts is None:
            counts = self._by_label[label] = {}
        return counts

    def begin(self, base: int, nodeid: str, rerun: int) -> None:
        """A run of a test begins; one that was not ended is written without an outcome."""
        self._give_up()
        self._open = (base, nodeid, rerun)

    def miss(self, count: int | None) -> None:
        """Calls are missing of what is recorded now, of a test or what surrounds it: so many, None where that is not
        known."""
        self._misses += 1
        self.lost = _sum(self.lost, count)
        for kind in ("harness", *(("test",) if self._open else () if self._collected else ("collect",))):
            self._missed[kind] = _sum(self._missed.get(kind, 0), count)

    def add(self, label: int, counts: Counts) -> None:
        """Count calls for a label that somebody else has seen."""
        mine = self.counts(label)
        for call, count in counts.items():
            mine[call] = mine.get(call, 0) + count

    def sandbox(self, label: int, argv: str, policy: str, denied: str, complete: bool, counts: Counts) -> None:
        """What a sandboxed program has done under a label, besides what is counted for it otherwise. `argv`, `policy`
        and `denied` are JSON values, as the line of a test has them."""
        phase = label - self._open[0] if self._open is not None else -1
        in_test = 0 <= phase < len(PHASES)
        if not in_test and label >= FIRST_TEST:
            label = HARNESS  # of a test whose line is written
        self.add(label, counts)
        if in_test:
            syscalls = ",".join([f"[{call >> 32},{_signed(call & 0xFFFFFFFF)},{n}]" for call, n in counts.items()])
            self._sandboxes.append(
                f'{{"argv":{argv},"policy":{policy},"phase":"{PHASES[phase]}","complete":{_json(complete)},'
                f'"syscalls":[{syscalls}],"denied":{denied}}}'
            )
        if not complete:
            self.lost = None
            self._missed["test" if in_test else "collect" if label == COLLECTION else "harness"] = None
            self._reasons.append(f"calls of a program in a sandbox may be missing: {argv}")

    def open_block(self, number: int, base: int) -> None:
        """From now on, what is counted for the test with this base is counted for a block of it as well."""
        self._blocks[number] = base, self._misses, [dict(counts) for counts in self.of_test(base)]

    def close_block(self, number: int) -> tuple[Counts, bool]:
        """What was counted for a block, which ends, and whether it is certain that nothing is missing."""
        base, misses, before = self._blocks.pop(number, (-1, -1, []))
        counted: Counts = {}
        for then, now in zip(before, self.of_test(base), strict=True) if before else ():
            for call, count in now.items():
                if count != then.get(call, 0):
                    counted[call] = counted.get(call, 0) + count - then.get(call, 0)
        return counted, misses == self._misses

    def of_test(self, base: int) -> list[Counts]:
        """The counts of the test with this base up to now, by phase."""
        return [self._by_label.get(base + offset, {}) for offset in range(len(PHASES))]

    def end(self, base: int, outcome: str) -> None:
        """The run of a test has ended; `outcome` is a JSON value."""
        if self._open is not None and self._open[0] == base:
            self._write_test(self._open, outcome, complete=True)
            self._open = None

    def collected(self) -> None:
        """The collection has ended: its line is safe from now on."""
        if not self._collected:
            self._collected = True
            self._write_other("collect", "collection", COLLECTION, complete=True)

    def close(self, reasons: list[str]) -> bool:
        """Write what is left and the end of the spool, with the test that did not finish, if there is one. Returns
        whether all was recorded: it was without `reasons` for the contrary and if all was written."""
        if self.closed:
            return False
        unfinished = [f"{_from_json(self._open[1])} did not finish"] if self._open is not None else []
        self._give_up()
        self.collected()
        self._write_other("harness", "harness", HARNESS, complete=not reasons)
        self.closed = True
        self._by_label.clear()
        self._spool.check()
        if self._spool.error:
            reasons.append(self._spool.error)
        complete = not reasons
        told = unfinished + self._reasons + reasons
        self._spool.write(
            f'{{"kind":"end","complete":{_json(not told)},"lost":{_json(self.lost)},"reasons":{_json_texts(told)}}}'
        )
        if complete and self._spool.error:  # of the line that would have said so
            reasons.append(self._spool.error)
        self._spool.close()
        return not reasons

    @property
    def unwritten(self) -> bool:
        """Whether a line did not get into the spool."""
        return self._spool.error is not None

    def forget(self) -> None:
        """Let go of the spool in a process that has inherited it and does not write it."""
        if not self.closed:
            self._spool.forget()

    def _give_up(self) -> None:
        if self._open is not None:
            self._write_test(self._open, "null", complete=False)
            self._open = None

    def _write_test(self, test: tuple[int, str, int], outcome: str, *, complete: bool) -> None:
        base, nodeid, rerun = test
        for number in [number for number, block in self._blocks.items() if block[0] == base]:
            del self._blocks[number]  # it outlasts its test
        phases = [(phase, self._by_label.pop(base + offset, {})) for offset, phase in enumerate(PHASES)]
        opening = f'"nodeid":{nodeid},"outcome":{outcome},"worker":{self._worker},"rerun":{rerun}'
        sandboxes, self._sandboxes = self._sandboxes, []
        closing = f',"sandboxes":[{",".join(sandboxes)}]' if sandboxes else ""
        self._write("test", opening, phases, closing, complete=complete)

    def _write_other(self, kind: str, phase: str, label: int, *, complete: bool) -> None:
        self._write(kind, f'"worker":{self._worker}', [(phase, self._by_label.pop(label, {}))], complete=complete)

    def _write(
        self, kind: str, opening: str, phases: list[tuple[str, Counts]], closing: str = "", *, complete: bool
    ) -> None:
        calls: dict[int, str] = {}
        for phase, counts in phases:
            for call, count in counts.items():
                others = f"{calls[call]}," if call in calls else ""
                calls[call] = f'{others}"{phase}":{count}'
        syscalls = ",".join(
            [f"[{call >> 32},{_signed(call & 0xFFFFFFFF)},{{{counts}}}]" for call, counts in calls.items()]
        )
        missed = self._missed.pop(kind, 0)
        self._spool.write(
            f'{{"kind":"{kind}",{opening},"backend":{self._backend},"complete":{_json(complete and missed == 0)},'
            f'"lost":{_json(missed)},"syscalls":[{syscalls}]{closing}}}'
        )


def _sum(one: "int | None", other: "int | None") -> "int | None":
    return None if one is None or other is None else one + other


def _signed(number: int) -> int:
    """The number of a call is an int in struct seccomp_data: system call -1 is one that a program can make."""
    return number - (1 << 32) if number >> 31 else number


def _json(value: "bool | int | None") -> str:
    if value is None:
        return "null"
    return str(value).lower()


def _from_json(text: str) -> str:
    import json  # as below

    return str(json.loads(text))


def _json_texts(texts: list[str]) -> str:
    if not texts:
        return "[]"
    import json  # 12 ms, which only a trace that went wrong pays for

    return json.dumps(texts)
