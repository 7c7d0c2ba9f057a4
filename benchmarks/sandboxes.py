"""Starting a program in a sandbox, beside starting it: `/bin/true`, from the call to its end."""

import json
import subprocess
from pathlib import Path

import machine
from rounds import Goal, Measurement, Scale, take_turns
from ways import Ways

_PROGRAM = Path(__file__).with_name("starting.py")


def sandbox(scale: Scale, _ways: Ways, _folder: Path) -> Measurement:
    """What a sandbox adds, when its host runs: the second of a run, and all that follow."""
    command = machine.python("-I", _PROGRAM)
    with subprocess.Popen(
        command, env=machine.environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:

        def ask(variant: str) -> float:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{variant}\n")
            milliseconds: float = json.loads(process.stdout.readline())
            return milliseconds

        names = ("plain", "under a policy", "recorded", "with an allow-list")
        samples = take_turns({name: lambda name=name: ask(name) for name in names}, scale.starts * 5)  # type: ignore[misc]
        assert process.stdin is not None
        process.stdin.close()
    measurement = Measurement("a program that does nothing", "ms", samples)
    for name in names[1:]:
        measurement.add(f"{name} adds", lambda samples, name=name: samples[name] - samples["plain"], Goal(25), " ms")  # type: ignore[misc]
    return measurement
