"""The memory that tracing takes: of the tracer's processes, of its maps in the kernel, and in pytest itself."""

import json
import os
import secrets
from pathlib import Path

from rounds import PLAIN, Measurement, Scale, added
from runs import Suite
from suites import write_empty_tests
from ways import Way, Ways

_ROUNDS = 2

_PLUGIN = """
import atexit, json, os, re
from pathlib import Path
import pytest

token, above = os.environ["BENCHMARK_TOKEN"], int(os.environ["BENCHMARK_PID"])

def kilobytes(path, name):
    return sum(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith(name + ":"))

def tracers():
    for entry in Path("/proc").iterdir():  # ours are no parents of pytest
        try:
            ours = entry.name.isdigit() and token.encode() in (entry / "environ").read_bytes()
            if ours and b"pytest_seccomp" in (entry / "cmdline").read_bytes():
                yield entry
        except OSError:
            pass  # ended, or somebody else's
    pid = os.getppid()
    while pid not in (above, 0, 1):
        entry = Path(f"/proc/{pid}")
        yield entry
        pid = kilobytes(entry / "status", "PPid")

def maps(entry):
    for info in (entry / "fdinfo").iterdir():
        found = dict(re.findall(r"^(memlock|map_id):\\s+(\\d+)$", info.read_text(), re.MULTILINE))
        if len(found) == 2:
            yield found["map_id"], int(found["memlock"])

@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish():
    found = list(tracers())
    taken = sum(kilobytes(entry / "smaps_rollup", "Pss") for entry in found) / 1024
    in_kernel = dict(pair for entry in found for pair in maps(entry))
    members = {"tracer": taken, "kernel": sum(in_kernel.values()) / 1024**2}
    atexit.register(lambda: Path("memory.json").write_text(
        json.dumps({**members, "pytest": kilobytes(Path("/proc/self/status"), "VmHWM") / 1024})
    ))
"""


def memory(scale: Scale, ways: Ways, folder: Path) -> Measurement:
    """Megabytes, at the end of a run of empty tests; what several processes share is counted once."""
    write_empty_tests(folder, scale.tests)
    (folder / "memory_plugin.py").write_text(_PLUGIN)
    measurement = Measurement(f"memory for {scale.tests:,} empty tests: pytest and the tracer", "MB")
    tracers: dict[str, float] = {}

    def taken(way: Way) -> float:
        token = secrets.token_hex(8)
        variables = {
            "PYTHONPATH": str(folder),
            "PYTEST_PLUGINS": "memory_plugin",
            "BENCHMARK_TOKEN": token,
            "BENCHMARK_PID": str(os.getpid()),
        }
        Suite(folder, folder, variables).run(way)
        found = json.loads((folder / "memory.json").read_text())
        tracers[way.name] = found["tracer"] + found["kernel"]
        return float(found["pytest"]) + tracers[way.name]

    chosen = ways.but("kmsg", "strace -f -c")
    measurement.samples = {way.name: [] for way in chosen}
    for _ in range(min(scale.rounds, _ROUNDS)):
        for way in chosen:
            measurement.samples[way.name].append(taken(way))
    for way in chosen:
        if way.name != PLAIN:
            measurement.add(f"{way.name} adds", added(way.name), unit=" MB")
            measurement.notes.append(f"{way.name}: {tracers[way.name]:.1f} MB of it are the tracer's")
    return measurement
