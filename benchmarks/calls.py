"""The cost of one system call: in a tight loop, and now and then between work."""

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import machine
from rounds import Goal, Measurement, Scale, take_turns

_PROGRAM = Path(__file__).with_name("calling.py")

_ORDINARY = "notify without CAP_SYS_NICE"
"""As for an ordinary user: the scheduler does not prefer the recorder. That is cheaper where nobody else wants the
processor, and leaves more time in which a signal can interrupt a call."""

_OF_C = Goal(1.5)
_OF_STRACE = Goal(5, least=True)


def loop(scale: Scale, folder: Path) -> Measurement:
    """os.getppid() again and again."""
    return _measure("a call in a loop", "loop", scale.loop_calls, scale.rounds, folder)


def sparse(scale: Scale, folder: Path) -> Measurement:
    """os.getppid() each 200 us or so, with computing in between."""
    return _measure("a call each 200 us", "sparse", scale.sparse_calls, scale.rounds, folder)


def _measure(title: str, pattern: str, calls: int, rounds: int, folder: Path) -> Measurement:
    counted = folder / "counted"
    variants = {"plain": _variant([], pattern, calls, None), "notify": _variant([], pattern, calls, "notify")}
    ordinary = machine.without_sys_nice()
    if ordinary is not None:
        variants[_ORDINARY] = _variant(ordinary, pattern, calls, "notify")
    for name, command in (("C", machine.supervisor(folder, counted)), ("strace", machine.strace(folder / "strace"))):
        if command is not None:
            variants[name] = _variant(command, pattern, calls, None)
    measurement = Measurement(title, "us", take_turns(variants, rounds))
    measurement.add("notify to C", _ratio("notify", "C"), _OF_C)
    if ordinary is not None:
        measurement.add(f"{_ORDINARY} to C", _ratio(_ORDINARY, "C"), _OF_C)
    measurement.add("strace to notify", _ratio("strace", "notify"), _OF_STRACE)
    measurement.add("strace to C", _ratio("strace", "C"))
    return measurement


def _ratio(one: str, other: str) -> Callable[[Mapping[str, float]], float]:
    """Of what two tracers add to a call."""
    return lambda samples: (samples[one] - samples["plain"]) / (samples[other] - samples["plain"])


def _variant(tracer: list[str], pattern: str, calls: int, backend: str | None) -> Callable[[], float]:
    command = [*tracer, *machine.python("-I", _PROGRAM, pattern, str(calls), *([backend] if backend else []))]

    def run() -> float:
        done = subprocess.run(
            command, env=machine.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, text=True
        )
        microseconds: float = json.loads(done.stdout)
        return microseconds

    return run
