"""spool LINES PATH, merge SPOOL PATH, copy SPOOL PATH: do that, print [seconds, peak of the memory in megabytes]."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.process import status_field
from pytest_seccomp.recorder import labels
from pytest_seccomp.recorder.ledger import Ledger
from pytest_seccomp.recorder.spool import Spool
from pytest_seccomp.trace.records import Run
from pytest_seccomp.trace.store import Destination, write_trace

_CALLS = 20
_KINDS = 60


def spool(lines: str, path: str) -> None:
    """Write a spool as a recorder does: each test makes 20 calls, not always the same ones."""
    Path(path).unlink(missing_ok=True)
    ledger = Ledger(Spool(path), '"gw0"', '"notify"')
    base = 0
    for number in range(int(lines)):
        base = labels.next_base(base)
        ledger.begin(base, f'"tests/test_{number // 100}.py::test_something_of_interest[{number}]"', 0)
        for index in range(_CALLS):
            counts = ledger.counts(base + (labels.SETUP, labels.CALL, labels.CALL, labels.TEARDOWN)[index % 4])
            counts[native().audit_arch << 32 | (number + index * 3) % _KINDS] = 1 + number * index % 1000
        ledger.end(base, '"passed"')
    ledger.close([])


def merge(source: str, path: str) -> None:
    """Merge it as the session does that owns the trace."""
    run = Run(
        backend="notify", complete=True, lost=0, exit_status=0, selection=[], python="3", pytest="9", kernel="6",
        arch="x86_64", workers=1, reasons=[],
    )  # fmt: skip
    written = write_trace(Destination.check(Path(path)), run, [Path(source)])
    if not written.complete:
        raise SystemExit(f"the trace is incomplete: {written.reasons}")


def copy(source: str, path: str) -> None:
    """Read and write its lines with json, and nothing else: what any merge that looks into the lines needs at least."""
    with open(source, encoding="ascii") as lines, open(path, "w", encoding="ascii") as output:
        for line in lines:
            output.write(json.dumps(json.loads(line)) + "\n")


def main(action: str, *arguments: str) -> None:
    """Do it."""
    actions: dict[str, Callable[..., None]] = {"spool": spool, "merge": merge, "copy": copy}
    before = perf_counter()
    actions[action](*arguments)
    seconds = perf_counter() - before
    # Not ru_maxrss, which an execve hands on from the process that it replaces
    print(json.dumps([seconds, int((status_field("VmHWM") or "0 kB").split()[0]) / 1024]))


if __name__ == "__main__":
    main(*sys.argv[1:])
