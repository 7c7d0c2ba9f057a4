"""Whole runs of pytest in a suite, by each way that there is."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import machine
import pytest
from rounds import Measurement, Refused, take_turns
from ways import Way, environment


@dataclass(slots=True)
class Suite:
    """Somebody's tests. `folder` is where pytest runs, `results` where it leaves what is none of the suite's."""

    folder: Path
    results: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()

    def run(self, way: Way) -> float:
        """Run pytest once, which has to pass. Returns the seconds."""
        options = ["-q", "-p", "no:cacheprovider", *way.options(self.trace), *self.arguments]
        command = way.command(machine.python("-m", "pytest", *options))
        before = perf_counter()
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment(**self.variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        seconds = perf_counter() - before
        if done.returncode == pytest.ExitCode.USAGE_ERROR and way.backend:
            raise Refused(done.stdout.strip())
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stdout[-3000:]}")
        return seconds

    @property
    def trace(self) -> Path:
        """Where our trace goes."""
        return self.results / "trace.ndjson"

    def measure(
        self,
        measurement: Measurement,
        ways: Iterable[Way],
        rounds: int,
        *,
        scale: float = 1,
        made: tuple[str, int] | None = None,
    ) -> Measurement:
        """Take the seconds of a run times `scale` as a sample. `made` is a call and how often the suite makes it; those
        that a tracer sees beside, of the start of Python, are the caller's to add."""

        def variant(way: Way) -> Callable[[], float]:
            def run() -> float:
                seconds = self.run(way)
                if made is not None and (way.backend or way.tracer):
                    call, times = made
                    # Whoever starts pytest sees that, too
                    measurement.has_seen(way.name, way.seen(self.trace, call), times + (way.tracer is not None))
                return seconds * scale

            return run

        measurement.samples = take_turns({way.name: variant(way) for way in ways}, rounds)
        return measurement
