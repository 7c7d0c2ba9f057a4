"""PATTERN CALLS [BACKEND]: make CALLS calls of os.getppid(), under our recorder where a backend is named, and print the
microseconds that one took: the median of blocks (loop) or of single calls (sparse)."""

import os
import statistics
import sys
from time import perf_counter_ns

from pytest_seccomp.recorder import client
from pytest_seccomp.recorder.settings import for_traced
from pytest_seccomp.recorder.spools import SpoolDirectory

_BLOCK = 500
_BETWEEN_NS = 200_000


def loop(calls: int) -> list[float]:
    """Nanoseconds of a call, for each block of calls."""
    getppid = os.getppid
    times = []
    for _ in range(calls // _BLOCK):
        before = perf_counter_ns()
        for _ in range(_BLOCK):
            getppid()
        times.append((perf_counter_ns() - before) / _BLOCK)
    return times


def sparse(calls: int) -> list[float]:
    """Nanoseconds of each call. The clock is read without a system call (vDSO), and its cost is in all variants."""
    getppid = os.getppid
    times: list[float] = []
    total = 0
    for _ in range(calls):
        until = perf_counter_ns() + _BETWEEN_NS
        while perf_counter_ns() < until:
            total += sum(number * number for number in range(100))
        before = perf_counter_ns()
        getppid()
        times.append(perf_counter_ns() - before)
    return times


def main(pattern: str, calls: int, backend: str | None = None) -> None:
    """Measure. Fails where tracing did not count each call."""
    measure = {"loop": loop, "sparse": sparse}[pattern]
    if backend is None:
        times = measure(calls)
    else:
        directory = SpoolDirectory.create()
        connection = client.start(for_traced(backend, directory))
        connection.attach()
        times = measure(calls)
        _, complete, lost, reasons = connection.request("finish")
        connection.send("merged")
        connection.ring()
        (spool,) = directory.spools()
        text = spool.read_text(encoding="ascii")
        directory.remove()
        if not complete or f'"harness":{calls // _BLOCK * _BLOCK if pattern == "loop" else calls}}}' not in text:
            raise SystemExit(f"not all calls were counted: lost {lost}, {reasons}: {text}")
    print(statistics.median(times) / 1000)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
