"""What a suite takes under each tracer: empty tests, the start of a run, many subprocesses, and a suite not ours."""

import subprocess
import tarfile
from pathlib import Path

import machine
from rounds import PLAIN, Goal, Measurement, Scale, added, to_plain
from runs import Suite
from ways import Ways

_MS = 1000
_ROUNDS = 5
"""Of what takes minutes."""

_KMSG, _STRACE = "kmsg", "strace -f -c"

_INTERVALS = """
import os, statistics, time
import pytest
begun = []
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol():
    begun.append(time.perf_counter())
def pytest_unconfigure():
    median = statistics.median(after - before for before, after in zip(begun, begun[1:]))
    with open("intervals", "w") as file:
        file.write(str(median * 1000))
"""

_PROGRAMS = """
import subprocess
import pytest

@pytest.mark.parametrize("number", range({tests}))
def test_programs(number):
    for _ in range({programs}):
        subprocess.run(["/bin/true"], check=True)
"""
"""A program of a few calls, which ends at once: what is dear is to follow it."""
_TESTS_WITH_PROGRAMS = 50


def empty_tests(scale: Scale, ways: Ways, folder: Path) -> Measurement:
    """What an empty test costs more under a tracer: markers, messages, its line, the calls that pytest makes for it.

    Without strace, which knows no tests and takes minutes for a round where the processors are idle, and without kmsg,
    which waits for what was never printed."""
    write_empty_tests(folder, scale.tests)
    measurement = Measurement(f"{scale.tests:,} empty tests, all included, a test", "ms")
    suite = Suite(folder, folder)
    suite.measure(measurement, ways.but(_KMSG, _STRACE), min(scale.rounds, _ROUNDS), scale=_MS / scale.tests)
    return _with_goals(measurement)


def one_empty_test(scale: Scale, ways: Ways, folder: Path) -> Measurement:
    """The same without the run's start and end and without what else the machine did: the median test of each run."""
    write_empty_tests(folder, scale.tests)
    (folder / "intervals_plugin.py").write_text(_INTERVALS)
    suite = Suite(folder, folder, {"PYTHONPATH": str(folder), "PYTEST_PLUGINS": "intervals_plugin"})
    measurement = Measurement("the median of empty tests", "ms")
    found: dict[str, list[float]] = {}
    chosen = ways.but(_KMSG, _STRACE)
    for number in range(min(scale.rounds, _ROUNDS) + 1):
        for way in reversed(chosen) if number % 2 else chosen:
            suite.run(way)
            if number:  # the first one is for the caches
                found.setdefault(way.name, []).append(float((folder / "intervals").read_text()))
    measurement.samples = {way.name: found[way.name] for way in chosen}
    return _with_goals(measurement)


def _with_goals(measurement: Measurement) -> Measurement:
    measurement.add("notify adds", added("notify"), Goal(0.5), " ms")
    measurement.add("ebpf adds", added("ebpf"), Goal(0.5), " ms")
    measurement.add("C adds", added("C"), unit=" ms")
    return measurement


def start(scale: Scale, ways: Ways, folder: Path) -> Measurement:
    """What the start and end of a run cost more: recorder, standby, self-check, merging."""
    write_empty_tests(folder, 1)
    measurement = Measurement("a run of one empty test", "ms")
    Suite(folder, folder).measure(measurement, ways.but(_KMSG), scale.starts, scale=_MS)
    for name in ("ebpf", "notify"):
        measurement.add(f"{name} adds", added(name), unit=" ms")
    return measurement


def programs(scale: Scale, ways: Ways, folder: Path) -> Measurement:
    """A suite whose tests start many programs."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    text = _PROGRAMS.format(tests=_TESTS_WITH_PROGRAMS, programs=scale.programs)
    (folder / "test_programs.py").write_text(text)
    started = _TESTS_WITH_PROGRAMS * scale.programs
    measurement = Measurement(f"a suite that starts {started:,} programs", "s")
    rounds = min(scale.rounds, _ROUNDS)
    return Suite(folder, folder).measure(measurement, ways.by_name.values(), rounds, made=("execve", started))


def click(scale: Scale, ways: Ways, folder: Path) -> Measurement:
    """The suite of click, from its source distribution."""
    source = _source_distribution("click", folder)
    installed = folder / "installed"
    _pip("install", "--no-deps", "--target", installed, source)
    measurement = Measurement(f"the suite of {source.name}", "s")
    suite = Suite(source, folder, {"PYTHONPATH": str(installed)})
    suite.measure(measurement, ways.by_name.values(), min(scale.rounds, _ROUNDS))
    for name, most in (("ebpf", 1.05), ("audit", 1.05), ("notify", 1.35)):
        measurement.add(f"{name} to {PLAIN}", to_plain(name), Goal(most))
    return measurement


def write_empty_tests(folder: Path, count: int) -> None:
    """A suite of so many tests that do nothing."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_empty.py").write_text("".join(f"def test_{number}(): pass\n" for number in range(count)))


def _source_distribution(name: str, folder: Path) -> Path:
    """Fetch the newest source distribution of a project and unpack it."""
    _pip("download", "--no-deps", "--no-binary", ":all:", "--dest", folder, name)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def _pip(*arguments: str | Path) -> None:
    command = machine.python("-m", "pip", "--disable-pip-version-check", "--quiet", *arguments)
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True)
