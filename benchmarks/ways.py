"""The ways to run something that are compared: as it is, with each of our backends, and under other tracers."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import machine
import tracers
from rounds import PLAIN

from pytest_seccomp.linux import process
from pytest_seccomp.recorder import doctor

_CAP_SYS_NICE = 23

ORDINARY = "notify without CAP_SYS_NICE"
"""As for an ordinary user: the scheduler does not prefer the recorder. That is cheaper where nobody else wants the
processor, and leaves more time in which a signal can interrupt a call."""


@dataclass(slots=True, frozen=True)
class Way:
    """A way to run a command. `backend` is one of ours, `tracer` somebody else's; `before` is what else runs the
    command."""

    name: str
    backend: str | None = None
    tracer: tracers.Tracer | None = None
    before: list[str] = field(default_factory=list)

    def command(self, command: list[str]) -> list[str]:
        """What runs a command of ours so."""
        return [*self.before, *tracers.running(self.tracer, command)]

    def options(self, trace: Path) -> list[str]:
        """The options of a pytest that is run so, and writes its trace there."""
        if self.backend is None:
            return []
        return ["-p", "seccomp", f"--seccomp-trace={trace}", f"--seccomp-backend={self.backend}"]

    def seen(self, trace: Path, call: str | None = None) -> int | None:
        """How many calls were counted in a run of pytest, those with that name or all, collection and harness
        included; None for what is not told."""
        if self.tracer is not None:
            return self.tracer.counted(call)
        if self.backend is None:
            return None
        lines = trace.with_name(f"{trace.stem}.tests{trace.suffix}").read_text(encoding="utf-8").splitlines()[1:]
        entries = [entry for line in lines for entry in json.loads(line)["syscalls"]]
        return sum(int(entry["count"]) for entry in entries if call in (None, entry["name"]))


@dataclass(slots=True)
class Ways:
    """Those that there are on this machine, by name, and of the others what is missing."""

    by_name: dict[str, Way]
    missing: list[str]

    @classmethod
    def of(cls, folder: Path) -> Ways:
        """Find them. Other tracers write their reports into a folder."""
        found = [Way(PLAIN)]
        missing = []
        for diagnosis in doctor.check_backends():
            if diagnosis.works:
                found.append(Way(diagnosis.name, diagnosis.name))
            else:
                missing.append(f"{diagnosis.name} is left out: {diagnosis.detail} ({diagnosis.remedy})")
        if process.has_capability(_CAP_SYS_NICE) and shutil.which("setpriv"):
            found.append(Way(ORDINARY, "notify", before=["setpriv", "--bounding-set=-sys_nice"]))
        others, missing_others = tracers.all_that_are_here(folder)
        found += [Way(tracer.name, tracer=tracer) for tracer in others]
        return cls({way.name: way for way in found}, missing + missing_others)

    def but(self, *names: str) -> list[Way]:
        """All but some."""
        return [way for way in self.by_name.values() if way.name not in names]


def environment(**changes: str) -> dict[str, str]:
    """The environment of a pytest that is measured: without other plugins that are installed here. What they do, and
    warn of, is not what is measured."""
    return machine.environment(**{"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **changes})
