"""PATTERN CALLS PROCESSES [BACKEND]: make CALLS calls of os.getppid() in each of so many processes at once, under our
recorder where a backend is named, and print as JSON the microseconds that one took, and how many were counted.

Of one process it is the median of blocks (loop) or of single calls (sparse): what else the machine does is left out. Of
several it is what a call took from the first to the last, for there they are in each other's way.
"""

import json
import os
import statistics
import sys
from collections.abc import Callable
from time import perf_counter_ns

from pytest_seccomp.linux import syscalls
from pytest_seccomp.linux.architecture import native
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


def at_once(measure: Callable[[int], list[float]], calls: int, processes: int) -> float:
    """Nanoseconds of a call in one of several processes that begin together: the mean."""
    go, begin = os.pipe()
    told, tell = os.pipe()
    for _ in range(processes):
        if not os.fork():
            os.close(begin)
            os.read(go, 1)
            os.write(tell, f"{statistics.fmean(measure(calls))}\n".encode())
            os._exit(0)
    os.close(go)
    os.close(tell)
    os.close(begin)
    for _ in range(processes):
        os.wait()
    with open(told, encoding="ascii") as file:
        return statistics.fmean(map(float, file.read().split()))


def main(pattern: str, calls: int, processes: int, backend: str | None = None) -> None:
    """Measure."""
    pattern_of = {"loop": loop, "sparse": sparse}[pattern]

    def measure() -> float:
        if processes > 1:
            return at_once(pattern_of, calls, processes)
        return statistics.median(pattern_of(calls))

    if backend is None:
        print(json.dumps({"us": measure() / 1000}))
        return
    directory = SpoolDirectory.create()
    connection = client.start(for_traced(backend, directory))
    connection.attach()
    nanoseconds = measure()
    _, complete, lost, _reasons = connection.finish()
    connection.send("merged")
    connection.ring()
    (spool,) = directory.spools()
    lines = [json.loads(line) for line in spool.read_text(encoding="ascii").splitlines()]
    directory.remove()
    seen = sum(
        counts.get("harness", 0)
        for line in lines
        for arch, number, counts in line.get("syscalls", ())
        if arch == native().audit_arch and syscalls.name_of(arch, number) == "getppid"
    )
    print(json.dumps({"us": nanoseconds / 1000, "seen": seen, "complete": complete, "lost": lost}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
