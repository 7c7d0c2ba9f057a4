"""Reading audit records of type SECCOMP: the kernel writes one for each call under the backends `audit` and `kmsg`."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import machine
from rounds import Goal, Measurement, Scale, take_turns
from ways import Ways

_PROGRAM = Path(__file__).with_name("parsing.py")


def parser(scale: Scale, _ways: Ways, _folder: Path) -> Measurement:
    """The parser, which takes nothing for granted, beside naive ones."""
    records = scale.lines[1]
    variants = {
        "parser": _variant("exact", records),
        "parser, each record new": _variant("exact", records, "new"),
        "regular expression": _variant("pattern", records),
        "split": _variant("split", records),
    }
    measurement = Measurement("an audit record", "us", take_turns(variants, scale.rounds))
    measurement.add("thousands in a second", lambda samples: 1000 / samples["parser"], Goal(300, least=True))
    measurement.add("thousands in a second, each new", lambda samples: 1000 / samples["parser, each record new"])
    measurement.add("parser to regular expression", lambda samples: samples["parser"] / samples["regular expression"])
    measurement.add("parser to split", lambda samples: samples["parser"] / samples["split"])
    return measurement


def _variant(reader: str, records: int, *how: str) -> Callable[[], float]:
    command = machine.python("-I", _PROGRAM, reader, str(records), *how)

    def run() -> float:
        done = subprocess.run(command, env=machine.environment(), stdout=subprocess.PIPE, check=True, text=True)
        microseconds: float = json.loads(done.stdout)
        return microseconds

    return run
