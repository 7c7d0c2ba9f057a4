"""What an installed plugin costs a run that does not use it: the import of its entry point's module."""

import importlib.metadata
import subprocess
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import machine
from rounds import Goal, Measurement, Scale, take_turns
from ways import Ways

_DISTRIBUTION = "pytest-seccomp"
_GOAL = Goal(3)

# Loaded by `-p`, before pytest looks at the entry points of what is installed
_TIMER = """
import importlib.metadata, os, time
load = importlib.metadata.EntryPoint.load
def timed(self):
    before = time.perf_counter()
    loaded = load(self)
    if self.group == "pytest11" and self.name == "seccomp":
        with open(os.environ["ENTRY_POINT_TIME"], "w") as file:
            file.write(str((time.perf_counter() - before) * 1000))
    return loaded
importlib.metadata.EntryPoint.load = timed
"""


def entry_point(scale: Scale, _ways: Ways, folder: Path) -> Measurement:
    """With bytecode, as pip leaves it or the first run writes it."""
    return _measure("no option used", scale, folder, {})


def entry_point_without_bytecode(scale: Scale, _ways: Ways, folder: Path) -> Measurement:
    """Where bytecode is not there and cannot be written, pytest parses the module at each start."""
    copy = folder / "site"
    for file in importlib.metadata.files(_DISTRIBUTION) or ():
        source = Path(str(file.locate()))
        if source.suffix == ".pyc" or ".." in file.parts:
            continue
        target = copy / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    return _measure(
        "no option used, no bytecode", scale, folder, {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(copy)}
    )


def _measure(title: str, scale: Scale, folder: Path, environment: dict[str, str]) -> Measurement:
    tests = folder / "tests"
    tests.mkdir()
    (tests / "pytest.ini").write_text("[pytest]\n")
    (tests / "test_one.py").write_text("def test_one(): pass\n")
    (tests / "entry_point_timer.py").write_text(_TIMER)
    took = folder / "took"
    search = f"{tests}:{environment['PYTHONPATH']}" if "PYTHONPATH" in environment else str(tests)
    variables = machine.environment(**environment | {"PYTHONPATH": search, "ENTRY_POINT_TIME": str(took)})

    def run(*options: str) -> float:
        command = machine.python("-m", "pytest", "-q", "-p", "no:cacheprovider", *options)
        before = perf_counter()
        done = subprocess.run(
            command,
            cwd=tests,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        seconds = perf_counter() - before
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stdout[-3000:]}")
        return seconds * 1000

    def timed() -> float:
        run("-p", "entry_point_timer")
        return float(took.read_text())

    variants: dict[str, Callable[[], float]] = {
        "run without the plugin": lambda: run("-p", "no:seccomp"),
        "run with it": run,
        "its import": timed,
    }
    measurement = Measurement(title, "ms", take_turns(variants, scale.starts))
    measurement.add("the import takes", lambda samples: samples["its import"], _GOAL, " ms")
    measurement.add("with to without", lambda samples: samples["run with it"] / samples["run without the plugin"])
    measurement.add(
        "of a run", lambda samples: 100 * samples["its import"] / samples["run without the plugin"], unit=" %"
    )
    return measurement
