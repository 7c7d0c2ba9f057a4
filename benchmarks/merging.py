"""Merging the spools of a large run into the files of a trace."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import machine
from rounds import Goal, Measurement, Scale, take_turns
from ways import Ways

_PROGRAM = Path(__file__).with_name("merged.py")


def merge(scale: Scale, _ways: Ways, folder: Path) -> Measurement:
    """The time for many lines, beside that of json alone for the same lines; the memory beside that for fewer lines."""
    return _measure(*scale.lines[:2], min(scale.rounds, 3), folder)


def merge_a_million(scale: Scale, _ways: Ways, folder: Path) -> Measurement:
    """The same for ten times as many."""
    return _measure(*scale.lines[1:], 1, folder)


def _measure(few: int, many: int, rounds: int, folder: Path) -> Measurement:
    memory: dict[str, list[float]] = {"few": [], "many": []}
    for lines in (few, many):
        _run("spool", str(lines), str(folder / f"{lines}.ndjson"))

    def merged(lines: int, name: str) -> Callable[[], float]:
        def run() -> float:
            seconds, megabytes = _run("merge", str(folder / f"{lines}.ndjson"), str(folder / "trace.ndjson"))
            memory[name].append(megabytes)
            return seconds

        return run

    variants: dict[str, Callable[[], float]] = {
        "json alone": lambda: _run("copy", str(folder / f"{many}.ndjson"), str(folder / "copy.ndjson"))[0],
        f"{few} lines": merged(few, "few"),
        f"{many} lines": merged(many, "many"),
    }
    measurement = Measurement(f"merging {many:,} lines of 20 calls", "s", take_turns(variants, rounds))
    measurement.add("takes", lambda samples: samples[f"{many} lines"], Goal(5 * many / 100_000), " s")
    measurement.add("to json alone", lambda samples: samples[f"{many} lines"] / samples["json alone"])
    measurement.add(
        f"{many} lines to {few}, a line",
        lambda samples: samples[f"{many} lines"] / samples[f"{few} lines"] * few / many,
    )
    peak = max(memory["many"]) / max(memory["few"])
    measurement.notes.append(
        f"peak memory {max(memory['many']):.1f} MB, {peak:.2f} times that of {few} lines: "
        f"{'flat' if peak < 1.1 else 'NOT FLAT'}"
    )
    return measurement


def _run(*arguments: str) -> tuple[float, float]:
    """Seconds, and the peak of the memory in megabytes, of a process of its own."""
    done = subprocess.run(
        machine.python("-I", _PROGRAM, *arguments), env=machine.environment(), stdout=subprocess.PIPE, check=True
    )
    seconds, megabytes = json.loads(done.stdout)
    return seconds, megabytes
