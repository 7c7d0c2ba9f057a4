"""Whole runs of pytest: empty tests, the start of a run, and a suite that is not ours."""

import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter

import machine
from rounds import Goal, Measurement, Samples, Scale, take_turns

_MS = 1000

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


def empty_tests(scale: Scale, folder: Path) -> Measurement:
    """What an empty test costs more under a tracer: markers, messages, its line, the calls that pytest makes for it.

    Without strace, which knows no tests and takes minutes for a round where the processors are idle."""
    _write_tests(folder, scale.tests)
    seconds = take_turns(_variants(folder, folder, strace=False), min(scale.rounds, 5))
    samples = {name: [value * _MS / scale.tests for value in values] for name, values in seconds.items()}
    return _of_tests(f"{scale.tests} empty tests, all included, a test", samples)


def one_empty_test(scale: Scale, folder: Path) -> Measurement:
    """The same without the run's start and end and without what else the machine did: the median test of each run."""
    _write_tests(folder, scale.tests)
    (folder / "intervals_plugin.py").write_text(_INTERVALS)
    environment = {"PYTHONPATH": str(folder), "PYTEST_PLUGINS": "intervals_plugin"}

    def median(run: Callable[[], float]) -> Callable[[], float]:
        def then_read() -> float:
            run()
            return float((folder / "intervals").read_text())

        return then_read

    variants = {name: median(run) for name, run in _variants(folder, folder, environment, strace=False).items()}
    return _of_tests("the median of empty tests", take_turns(variants, min(scale.rounds, 5)))


def _of_tests(title: str, samples: Samples) -> Measurement:
    measurement = Measurement(title, "ms", samples)
    measurement.add("notify adds", _added("notify"), Goal(0.5), " ms")
    measurement.add("notify to plain", lambda samples: samples["notify"] / samples["plain"])
    measurement.add("C adds", _added("C"), unit=" ms")
    return measurement


def start(scale: Scale, folder: Path) -> Measurement:
    """What the start and end of a run cost more: recorder, standby, self-check, merging."""
    _write_tests(folder, 1)
    seconds = take_turns(_variants(folder, folder), scale.starts)
    samples = {name: [value * _MS for value in values] for name, values in seconds.items()}
    measurement = Measurement("a run of one empty test", "ms", samples)
    measurement.add("notify to plain", lambda samples: samples["notify"] / samples["plain"])
    measurement.add("strace to plain", lambda samples: samples["strace"] / samples["plain"])
    measurement.add("notify adds", _added("notify"), unit=" ms")
    return measurement


def click(scale: Scale, folder: Path) -> Measurement:
    """The suite of click, from its source distribution."""
    suite = _source_distribution("click", folder)
    installed = folder / "installed"
    _pip("install", "--no-deps", "--target", installed, suite)
    environment = {"PYTHONPATH": str(installed)}
    samples = take_turns(_variants(suite, folder, environment), min(scale.rounds, 5))
    measurement = Measurement(f"the suite of {suite.name}", "s", samples)
    measurement.add("notify to plain", lambda samples: samples["notify"] / samples["plain"], Goal(1.35))
    measurement.add("C to plain", lambda samples: samples["C"] / samples["plain"])
    measurement.add("strace to plain", lambda samples: samples["strace"] / samples["plain"])
    return measurement


def _variants(
    suite: Path, folder: Path, environment: Mapping[str, str] | None = None, *, strace: bool = True
) -> dict[str, Callable[[], float]]:
    """pytest in `suite`: plain, traced by us, and by whoever else is here. Results go to `folder`."""
    trace = f"--seccomp-trace={folder / 'trace.ndjson'}"
    variants = {
        "plain": _variant([], suite, [], environment),
        "notify": _variant([], suite, ["-p", "seccomp", trace, "--seccomp-backend=notify"], environment),
    }
    for name, tracer in (
        ("C", machine.supervisor(folder, folder / "counted")),
        ("strace", machine.strace(folder / "strace") if strace else None),
    ):
        if tracer is not None:
            variants[name] = _variant(tracer, suite, [], environment)
    return variants


def _variant(
    tracer: list[str], suite: Path, options: list[str], environment: Mapping[str, str] | None
) -> Callable[[], float]:
    command = [*tracer, *machine.python("-m", "pytest", "-q", "-p", "no:cacheprovider", *options)]
    # Without the other plugins that are installed here: what they do, and warn of, is not what is measured
    variables = machine.environment(**{"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **(environment or {})})

    def run() -> float:
        before = perf_counter()
        done = subprocess.run(
            command,
            cwd=suite,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        seconds = perf_counter() - before
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stdout[-3000:]}")
        return seconds

    return run


def _added(name: str) -> Callable[[Mapping[str, float]], float]:
    return lambda samples: samples[name] - samples["plain"]


def _write_tests(folder: Path, count: int) -> None:
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
