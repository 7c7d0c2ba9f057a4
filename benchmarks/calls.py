"""The cost of one system call: in a tight loop, in several processes at once, and now and then between work."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import machine
from rounds import PLAIN, Goal, Measurement, Refused, Scale, added, take_turns
from ways import ORDINARY, Way, Ways

_PROGRAM = Path(__file__).with_name("calling.py")

_OF_C = Goal(1.5)
_OF_STRACE = Goal(5, least=True)
_OF_EBPF = Goal(0.25)

_SLOW = {"strace -f -c": 5}
"""Make so many times fewer calls in a loop: these take up to 0.2 ms each."""


def loop(scale: Scale, ways: Ways, _folder: Path) -> Measurement:
    """os.getppid() again and again."""
    measurement = _measure("a call in a loop", "loop", 1, scale.loop_calls, scale.rounds, ways)
    measurement.add("ebpf adds", added("ebpf"), _OF_EBPF, " us")
    return _with_goals(measurement)


def loop_of_2(scale: Scale, ways: Ways, _folder: Path) -> Measurement:
    """The same in two processes at once, which one recorder serves."""
    return _measure("a call in 2 loops at once", "loop", 2, scale.loop_calls // 2, scale.rounds, ways)


def loop_of_4(scale: Scale, ways: Ways, _folder: Path) -> Measurement:
    """The same in four."""
    return _measure("a call in 4 loops at once", "loop", 4, scale.loop_calls // 4, scale.rounds, ways)


def sparse(scale: Scale, ways: Ways, _folder: Path) -> Measurement:
    """os.getppid() each 200 us or so, with computing in between."""
    return _with_goals(_measure("a call each 200 us", "sparse", 1, scale.sparse_calls, scale.rounds, ways))


def _with_goals(measurement: Measurement) -> Measurement:
    for name in ("notify", ORDINARY):
        measurement.add(f"{name} to C", _ratio(name, "C"), _OF_C)
    measurement.add("strace -f -c to notify", _ratio("strace -f -c", "notify"), _OF_STRACE)
    measurement.add("strace -f -c to C", _ratio("strace -f -c", "C"))
    return measurement


def _measure(title: str, pattern: str, processes: int, calls: int, rounds: int, ways: Ways) -> Measurement:
    measurement = Measurement(title, "us")
    variants = {}
    # Whoever waits for what the kernel has not printed takes a quarter of a minute, each time
    for way in ways.by_name.values() if processes == 1 else ways.but("kmsg"):
        fewer = _SLOW.get(way.name, 1) if pattern == "loop" else 1
        variants[way.name] = _variant(way, pattern, calls // fewer, processes, measurement)
    measurement.samples = take_turns(variants, rounds)
    return measurement


def _ratio(one: str, other: str) -> Callable[[dict[str, float]], float]:
    """Of what two tracers add to a call."""
    return lambda samples: (samples[one] - samples[PLAIN]) / (samples[other] - samples[PLAIN])


def _variant(way: Way, pattern: str, calls: int, processes: int, measurement: Measurement) -> Callable[[], float]:
    backend = [way.backend] if way.backend else []
    command = way.command(machine.python("-I", _PROGRAM, pattern, str(calls), str(processes), *backend))
    made = processes * (calls // 500 * 500 if pattern == "loop" else calls)

    def run() -> float:
        done = subprocess.run(
            command, env=machine.environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True
        )
        if done.returncode and way.backend:
            raise Refused(done.stderr.strip().splitlines()[-1])
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stderr[-3000:]}")
        said = json.loads(done.stdout)
        if way.tracer is not None or way.backend is not None:
            seen = way.tracer.counted("getppid") if way.tracer is not None else said["seen"]
            measurement.has_seen(way.name, seen, made)
        microseconds: float = said["us"]
        return microseconds

    return run
