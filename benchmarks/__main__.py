"""`python benchmarks`: what tracing costs, beside other tracers, measured side by side in this run.

Each measurement has variants (without tracing, with us, with strace, ...) that take turns, round by round, and each
ratio is formed within a round, so that what else the machine does hits all of them alike. Needs a C compiler for the
supervisor in C, strace, and for the suite of click a package index; what is not there is left out and named.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import calls
import entry
import machine
import merging
import parser
import suites
from rounds import Measurement, Scale

MEASUREMENTS = {
    "loop": calls.loop,
    "sparse": calls.sparse,
    "empty": suites.empty_tests,
    "empty-median": suites.one_empty_test,
    "start": suites.start,
    "click": suites.click,
    "import": entry.entry_point,
    "import-no-bytecode": entry.entry_point_without_bytecode,
    "merge": merging.merge,
    "parser": parser.parser,
}

QUICK = Scale(rounds=2, loop_calls=20_000, sparse_calls=500, tests=2_000, starts=3, lines=(1_000, 5_000))
FULL = Scale(rounds=7, loop_calls=100_000, sparse_calls=3_000, tests=10_000, starts=15, lines=(10_000, 100_000))


def main() -> int:
    """Measure, print a table, and write the samples where that is asked for."""
    parser = argparse.ArgumentParser(prog="python benchmarks", description="What tracing costs, beside other tracers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"measure only these: {', '.join(MEASUREMENTS)}")
    parser.add_argument("--quick", action="store_true", help="few rounds of little: shows that it runs, not how fast")
    parser.add_argument("--rounds", type=int, default=None, metavar="N", help="how often the variants take turns")
    parser.add_argument("--json", type=Path, default=None, metavar="PATH", help="write all samples to PATH")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in MEASUREMENTS]
    if unknown:
        parser.error(f"no measurement is called {', '.join(unknown)}: there are {', '.join(MEASUREMENTS)}")
    scale = QUICK if arguments.quick else FULL
    if arguments.rounds is not None:
        scale = scale.with_rounds(arguments.rounds)

    print(machine.describe(), flush=True)
    done: list[Measurement] = []
    for name in arguments.names or MEASUREMENTS:
        with tempfile.TemporaryDirectory(prefix="seccomp-benchmark-") as folder:
            measurement = MEASUREMENTS[name](scale, Path(folder))
        print(f"\n{measurement.table()}", flush=True)
        done.append(measurement)
    if arguments.json is not None:
        result = {"machine": machine.facts(), "measurements": [measurement.members() for measurement in done]}
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    missed = [f"  {measurement.title}: {ratio}" for measurement in done for ratio in measurement.missed()]
    print("\nmissed:" if missed else "\nevery goal was reached", *missed, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
