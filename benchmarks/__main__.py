"""`python benchmarks`: what tracing costs, beside other tracers, measured side by side in this run.

Each measurement has variants (without tracing, with each of our backends, with strace, ...) that take turns, round by
round, and each ratio is formed within a round, so that what else the machine does hits all of them alike. Needs gcc for
the supervisor in C, strace, perf and bpftrace, and for the suite of click a package index; what is not there, or does
not work here, is left out and named.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import calls
import entry
import machine
import memory
import merging
import parser
import plots
import sandboxes
import suites
from rounds import Measurement, Scale
from ways import Ways

MEASUREMENTS = {
    "loop": calls.loop,
    "loop-2": calls.loop_of_2,
    "loop-4": calls.loop_of_4,
    "sparse": calls.sparse,
    "click": suites.click,
    "programs": suites.programs,
    "empty": suites.empty_tests,
    "empty-median": suites.one_empty_test,
    "start": suites.start,
    "memory": memory.memory,
    "import": entry.entry_point,
    "import-no-bytecode": entry.entry_point_without_bytecode,
    "merge": merging.merge,
    "merge-million": merging.merge_a_million,
    "parser": parser.parser,
    "sandbox": sandboxes.sandbox,
}

QUICK = Scale(
    rounds=2, loop_calls=10_000, sparse_calls=500, tests=500, starts=2, lines=(1_000, 5_000, 10_000), programs=2
)
FULL = Scale(
    rounds=7, loop_calls=50_000, sparse_calls=2_000, tests=10_000, starts=11, lines=(10_000, 100_000, 1_000_000),
    programs=40,
)  # fmt: skip


def main() -> int:
    """Measure, print tables, and write samples and plots where that is asked for."""
    parser = argparse.ArgumentParser(prog="python benchmarks", description="What tracing costs, beside other tracers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"measure only these: {', '.join(MEASUREMENTS)}")
    parser.add_argument("--quick", action="store_true", help="few rounds of little: shows that it runs, not how fast")
    parser.add_argument("--rounds", type=int, default=None, metavar="N", help="how often the variants take turns")
    parser.add_argument("--json", type=Path, default=None, metavar="PATH", help="write all samples to PATH")
    parser.add_argument("--plots", type=Path, default=None, metavar="FOLDER", help="draw the tables, as SVG")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in MEASUREMENTS]
    if unknown:
        parser.error(f"no measurement is called {', '.join(unknown)}: there are {', '.join(MEASUREMENTS)}")
    scale = QUICK if arguments.quick else FULL
    if arguments.rounds is not None:
        scale = scale.with_rounds(arguments.rounds)

    print(machine.describe(), flush=True)
    done: dict[str, Measurement] = {}
    with tempfile.TemporaryDirectory(prefix="seccomp-benchmark-") as reports:
        ways = Ways.of(Path(reports))
        print(*ways.missing, sep="\n")
        for name in arguments.names or MEASUREMENTS:
            with tempfile.TemporaryDirectory(prefix="seccomp-benchmark-") as folder:
                done[name] = MEASUREMENTS[name](scale, ways, Path(folder))
            print(f"\n{done[name].table()}", flush=True)
            if arguments.json is not None:
                _write(arguments.json, ways, done)
    if arguments.plots is not None:
        plots.write(arguments.plots, done)
    missed = [f"  {measurement.title}: {figure}" for measurement in done.values() for figure in measurement.missed()]
    print("\nmissed:" if missed else "\nevery goal was reached", *missed, sep="\n")
    return 0


def _write(path: Path, ways: Ways, done: dict[str, Measurement]) -> None:
    """After each measurement: the next one may take long."""
    path.parent.mkdir(parents=True, exist_ok=True)
    measurements = {name: measurement.members() for name, measurement in done.items()}
    result = {"machine": machine.facts(), "missing": ways.missing, "measurements": measurements}
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
