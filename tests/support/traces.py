"""Traces made up for tests: spools as recorders write them, what must become of them, and how files are read back.

What must be is written out here once more, line by line with json and in the plainest way, and does not use the code
under test.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hypothesis import configuration, settings
from hypothesis import strategies as st

from pytest_seccomp.trace.records import Run

configuration.set_hypothesis_home_dir(Path(__file__).parents[2] / ".pytest_cache/hypothesis")  # which git ignores
settings.register_profile("project", deadline=None, database=None, print_blob=True)  # no test measures time
settings.load_profile("project")

Members = dict[str, Any]

X86_64, I386, UNKNOWN = 0xC000003E, 0x40000003, 0x0000BEEF
NAMES = {
    (X86_64, 0): ("x86_64", "read"),
    (X86_64, 1): ("x86_64", "write"),
    (X86_64, 39): ("x86_64", "getpid"),
    (X86_64, 257): ("x86_64", "openat"),
    (X86_64, 4000): ("x86_64", None),
    (X86_64, -1): ("x86_64", None),
    (I386, 1): ("i386", "exit"),
    (I386, 102): ("i386", "socketcall"),
    (UNKNOWN, 7): ("0x0000beef", None),
}
PHASES = ("setup", "call", "teardown", "shared")


def run(**members: Any) -> Run:
    """A run, complete unless the arguments say otherwise."""
    usual: Members = {
        "backend": "notify",
        "complete": True,
        "lost": 0,
        "exit_status": 0,
        "selection": ["tests"],
        "python": "3.13.0",
        "pytest": "9.0.0",
        "kernel": "6.12.0",
        "arch": "x86_64",
        "workers": 0,
    }
    return Run(**{**usual, **members})


def run_line(lines: int, **members: Any) -> Members:
    """The line of a run in its file, which so many lines follow."""
    return {**run(**members).members, "lines": lines}


def spooled_test(nodeid: str, syscalls: Sequence[Any], **members: Any) -> Members:
    """A spool's line for a test, given [architecture, number, {phase: count}] for each call."""
    usual: Members = {
        "kind": "test",
        "nodeid": nodeid,
        "outcome": "passed",
        "worker": None,
        "rerun": 0,
        "backend": "notify",
        "complete": True,
        "lost": 0,
        "syscalls": list(syscalls),
    }
    return {**usual, **members}


def spooled_other(kind: str, counts: Mapping[tuple[int, int], int], **members: Any) -> Members:
    """A spool's line for a collection or a harness."""
    phase = "collection" if kind == "collect" else "harness"
    usual: Members = {"kind": kind, "worker": None, "backend": "notify", "complete": True, "lost": 0}
    return {**usual, **members, "syscalls": [[*call, {phase: count}] for call, count in counts.items()]}


END: Members = {"kind": "end", "complete": True, "lost": 0, "reasons": []}


def compact(members: Members) -> str:
    """As recorders write it."""
    return json.dumps(members, separators=(",", ":")) + "\n"


def write_spool(path: Path, lines: Iterable[Members], end: Members | None = END) -> Path:
    """A spool of these lines; without an end if `end` is None."""
    ended = [*lines, *([] if end is None else [end])]
    path.write_text("".join(map(compact, ended)), encoding="ascii")
    return path


def objects(path: Path) -> list[Any]:
    """The lines of an NDJSON file, each whole."""
    text = path.read_text(encoding="ascii")
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def has_ended(path: Path) -> bool:
    """Whether a spool that a recorder writes has its last line, and all of it."""
    text = path.read_text(encoding="ascii")
    return text.endswith("}\n") and text.splitlines()[-1].startswith('{"kind":"end"')


def final_line(spooled: Members) -> Members:
    """What becomes of a spool's line in the tests file."""
    entries = []
    for audit_arch, number, counts in spooled["syscalls"]:
        arch, name = NAMES[audit_arch, number]
        entry = {"syscall": number, "name": name, "arch": arch, "count": sum(counts.values())}
        if spooled["kind"] == "test":
            entry["phases"] = {phase: counts[phase] for phase in PHASES if counts.get(phase)}
        if entry["count"]:
            entries.append(entry)
    entries.sort(key=lambda entry: (entry["arch"], entry["syscall"]))
    line = {**spooled, "syscalls": entries}
    if spooled["kind"] != "test":
        return line
    line.pop("sandboxes", None)
    return {**line, "sandboxes": [final_sandbox(sandbox) for sandbox in spooled.get("sandboxes", ())]}


def final_sandbox(spooled: Members) -> Members:
    """What becomes of an entry of `sandboxes`."""
    entries = []
    for audit_arch, number, count in spooled["syscalls"]:
        arch, name = NAMES[audit_arch, number]
        entries.append({"syscall": number, "name": name, "arch": arch, "count": count})
    entries.sort(key=lambda entry: (entry["arch"], entry["syscall"]))
    return {**spooled, "syscalls": entries}


def trace_of(lines: Iterable[Members], complete: bool = True) -> list[Members]:
    """What PATH must be, given the lines of the tests file: a plain rendering of the rule."""
    tests: dict[tuple[str, int], list[int]] = {}
    collections: dict[tuple[str, int], list[int]] = {}
    names = {}
    for line in lines:
        for entry in line.get("syscalls", ()):
            key = entry["arch"], entry["syscall"]
            names[key] = entry["name"]
            if line["kind"] == "test":
                tests.setdefault(key, []).append(entry["count"])
            elif line["kind"] == "collect":
                collections.setdefault(key, []).append(entry["count"])
    records = []
    for arch, number in sorted({*tests, *collections}):
        made, collected = tests.get((arch, number), []), max(collections.get((arch, number), [0]))
        record = {
            "syscall": number,
            "name": names[arch, number],
            "count": sum(made) + collected,
            "arch": arch,
            "tests": len(made),
            "collection": collected,
        }
        records.append(record if complete else {**record, "complete": False})
    return records


counts = st.integers(1, 10**12) | st.integers(1, 9)
calls = st.sampled_from(sorted(NAMES))
nodeids = st.text(max_size=20) | st.text(alphabet=st.characters(), max_size=5) | st.just('a"],[{"syscalls":[[1')
workers = st.none() | st.sampled_from(["gw0", "gw1"])
heads = st.fixed_dictionaries(
    {
        "worker": workers,
        "backend": st.sampled_from(["notify", "ebpf"]),
        "complete": st.booleans(),
        "lost": st.none() | st.integers(0, 9),
    }
)


DENIED: Members = {
    "syscall": 41,
    "name": "socket",
    "arch": "x86_64",
    "count": 2,
    "action": "errno",
    "errno": "EPERM",
    "pid": 4711,
    "comm": "curl",
    "exe": "/usr/bin/curl",
    "args": [2, 1, 0, 0, 0, 0],
}
"""A denial in a sandbox."""

sandboxes = st.fixed_dictionaries(
    {
        "argv": st.lists(st.text(max_size=5), min_size=1, max_size=3),
        "policy": st.none() | st.text(max_size=20),
        "phase": st.sampled_from(PHASES),
        "complete": st.booleans(),
        "syscalls": st.dictionaries(calls, counts, max_size=3).map(lambda made: [[*call, made[call]] for call in made]),
        "denied": st.lists(st.just(DENIED), max_size=1),
    }
).map(lambda entry: {name: entry[name] for name in ("argv", "policy", "phase", "complete", "syscalls", "denied")})


@st.composite
def spooled_tests(draw: st.DrawFn) -> Members:
    """Any line that a recorder can write for a test."""
    phases = st.dictionaries(st.sampled_from(PHASES), counts, min_size=1)
    syscalls = draw(st.dictionaries(calls, phases, max_size=5))
    ran = draw(st.just([]) | st.lists(sandboxes, max_size=2))
    return spooled_test(
        draw(nodeids),
        [[*call, by_phase] for call, by_phase in syscalls.items()],
        outcome=draw(st.sampled_from(["passed", "failed", "skipped", None])),
        rerun=draw(st.integers(0, 2)),
        **draw(heads),
        **({"sandboxes": ran} if ran else {}),
    )


@st.composite
def spooled_others(draw: st.DrawFn) -> Members:
    """Any line that a recorder can write for a collection or a harness."""
    made = draw(st.dictionaries(calls, counts, max_size=5))
    return spooled_other(draw(st.sampled_from(["collect", "harness"])), made, **draw(heads))


lines = spooled_tests() | spooled_others()
