"""`generate`: a profile of the calls in traces. What each format is like is in tests/formats."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import Command, Trace

from pytest_seccomp.formats import bases

LEFT_OUT = "Left out, called by fewer than 2 tests: i386:exit (1 test), x86_64:getpid (1 test)."


def test_on_standard_output(command: Command, trace: Trace) -> None:
    result = command("generate", trace(), "--format", "names", "--bare")
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines() == [
        *["# Made by pytest-seccomp generate.", "# Called in out.ndjson", "getpid", "read", "i386:exit"]
    ]


def test_into_a_file(command: Command, trace: Trace, tmp_path: Path) -> None:
    """Its folder is made, what was there is replaced and keeps its mode, and nothing else is left."""
    output = tmp_path / "new/profile.json"
    for options in ([], ["--default=kill_process"]):
        result = command("generate", trace(), "--format", "oci", "--bare", "-o", output, *options)
        assert (result.status, result.err) == (0, "")
        if not options:
            output.chmod(0o640)
    assert result.out.splitlines() == [
        f"{output}: oci, kill_process for all other calls",
        "  Called in out.ndjson: 3 calls",
    ]
    assert json.loads(output.read_text())["defaultAction"] == "SCMP_ACT_KILL_PROCESS"
    assert [path.name for path in output.parent.iterdir()] == ["profile.json"]
    assert output.stat().st_mode & 0o777 == 0o640


def test_two_at_once(command: Command, trace: Trace, tmp_path: Path) -> None:
    """What is read meanwhile is the profile of one of them, whole."""
    path, output = trace(), tmp_path / "profile.json"
    actions = ["errno:EPERM", "log"]

    def arguments(action: str, file: Path) -> list[str | Path]:
        return ["generate", path, "--format=oci", "--default", action, "-o", file]

    for action in actions:
        command(*arguments(action, tmp_path / action))
    whole = {(tmp_path / action).read_bytes() for action in actions}
    program = [sys.executable, "-m", "pytest_seccomp"]
    commands = [[*program, *arguments(action, output)] for action in actions]
    running = [subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for argv in commands]
    while any(process.poll() is None for process in running):
        assert not output.exists() or output.read_bytes() in whole
        time.sleep(0.001)
    said = [process.communicate()[1] for process in running]
    assert [process.returncode for process in running] == [0] * len(actions), said
    assert output.read_bytes() in whole
    assert not [left for left in tmp_path.iterdir() if left.suffix in (".lock", ".tmp")]


@pytest.mark.parametrize("name", ["other.ndjson", "other.tests.ndjson", "denied.ndjson"])
def test_what_cannot_be_made_again_is_not_replaced(command: Command, trace: Trace, tmp_path: Path, name: str) -> None:
    trace("other"), (tmp_path / "denied.ndjson").write_text('{"nodeid": "t.py::a", "syscall": 41}\n')
    before = (tmp_path / name).read_bytes()
    result = command("generate", trace(), "--format=names", "-o", tmp_path / name)
    assert (result.status, result.out) == (2, "")
    assert "is a trace, its tests file or a deny log, and no profile: name another file" in result.err
    assert (tmp_path / name).read_bytes() == before


def test_base_sets(command: Command, trace: Trace, tmp_path: Path) -> None:
    """Those of the format, others that are asked for, and none that are not."""
    lines = command("generate", trace(), "--format=names").out
    assert "exit_group  # ends the program or a thread" in lines
    lines = command("generate", trace(), "--format=names", "--bare", "--base=exec", "--base", "exec").out
    assert lines.splitlines()[-2:] == [
        "# Base set exec: whoever loads the filter starts the program under it",
        "execve  # starts the program",
    ]
    options = ["--bare", "--base=runc", "--base=exec", "-o", tmp_path / "names"]
    last = command("generate", trace(), "--format=names", *options).out.splitlines()[-1]
    assert last == "  Base set exec: whoever loads the filter starts the program under it: nothing more"
    shown = command("generate", "--help").out
    assert set(bases.bases()) <= set(re.findall(r"[\w-]+", shown))


def test_what_starting_takes_is_asked_for(command: Command, trace: Trace) -> None:
    hint = "no program is started in the traces: --base python allows what Python takes to start"
    assert command("generate", trace(), "--format=names").err == f"pytest-seccomp: warning: {hint}\n"
    assert command("generate", trace(), "--format=names", "--bare").err == ""


def test_check_finds_nothing_outside(command: Command, trace: Trace, tmp_path: Path) -> None:
    """What reads profiles understands what is written here."""
    command("generate", trace(), "--format=oci", "-o", tmp_path / "profile.json")
    assert command("check", trace(), tmp_path / "profile.json").status == 0
    command("generate", trace(), "--format=oci", "--bare", "--min-tests=2", "-o", tmp_path / "profile.json")
    result = command("check", trace(), tmp_path / "profile.json")
    assert result.status == 1
    assert "getpid" in result.out


def test_prune_leaves_the_base_sets(command: Command, trace: Trace, tmp_path: Path) -> None:
    """And of what traces have what base sets need as well: getpid is the only call of these that is not needed for
    anything else, and read is one that crun makes."""
    profile, path = tmp_path / "profile.json", trace()
    command("generate", path, "--format=oci", "--bare", "--base=crun", "-o", profile)
    before = json.loads(profile.read_text())
    assert command("check", "--unused", path, profile).out.endswith("\n0 calls allowed and made by nobody\n")
    other = tmp_path / "other.ndjson"
    record = {"syscall": 257, "name": "openat", "count": 1, "arch": "x86_64", "tests": 1, "collection": 0}
    other.write_text(json.dumps(record) + "\n")
    result = json.loads(command("prune", profile, other, "--json").out)
    assert result["removed"] == ["exit", "getpid"]
    assert {"read", "execve", "capset"} <= {*result["not_judged"]}
    traced, base = before["syscalls"]
    assert json.loads(profile.read_text())["syscalls"] == [{**traced, "names": ["read"]}, base]


@pytest.mark.needs("listener")
def test_the_start_and_the_end_of_python(command: Command, trace: Trace) -> None:
    lines = command("generate", trace(), "--format=names", "--bare", "--base=python").out.splitlines()
    title = next(number for number, line in enumerate(lines) if line.startswith("# Base set python: start and end of "))
    assert {"mmap", "openat", "rt_sigaction", "exit_group"} <= {*lines[title:]}
    assert "read" not in lines[title:], "a call of the trace"


def test_what_is_left_out_is_told_and_stands_in_the_profile(command: Command, trace: Trace, tmp_path: Path) -> None:
    result = command("generate", trace(), "--format=oci", "--bare", "--min-tests=2", "-o", tmp_path / "profile.json")
    assert result.out.splitlines()[1:] == ["  Called in out.ndjson: 1 call", LEFT_OUT]
    (entry,) = json.loads((tmp_path / "profile.json").read_text())["syscalls"]
    assert entry["comment"] == f"Made by pytest-seccomp generate. {LEFT_OUT} Called in out.ndjson."
    result = command("generate", trace(), "--format=minijail", "--bare")
    assert (result.status, result.err) == (
        0,
        "pytest-seccomp: warning: Left out, for minijail allows none but those of the machine itself: i386:exit.\n",
    )


def test_an_incomplete_trace(command: Command, trace: Trace, tmp_path: Path) -> None:
    path = trace(complete=False)
    result = command("generate", path, "--format=oci", "-o", tmp_path / "profile.json")
    assert (result.status, result.out) == (2, "")
    assert re.fullmatch(rf"pytest-seccomp: error: {path} is incomplete \(.*\), so .*--allow-incomplete\n", result.err)
    assert not (tmp_path / "profile.json").exists()
    result = command("generate", path, "--format=names", "--allow-incomplete")
    assert result.out.splitlines()[1].startswith("# INCOMPLETE, calls may be missing: out.ndjson: ")


def test_several_traces(command: Command, trace: Trace) -> None:
    result = command("generate", trace("one"), trace("two"), "--format=names", "--bare", "--min-tests=2")
    assert result.out.splitlines()[1:] == ["# Called in one.ndjson, two.ndjson", "getpid", "read", "i386:exit"]


def test_json(command: Command, trace: Trace, tmp_path: Path) -> None:
    output = tmp_path / "filter.bpf"
    result = command("generate", trace(), "--format=bpf", "--bare", "--base=exec", "--json", "-o", output)
    assert output.stat().st_size % 8 == 0
    assert json.loads(result.out) == {
        "path": str(output),
        "format": "bpf",
        "complete": True,
        "default": "errno:EPERM",
        "architectures": ["x86_64", "i386"],
        "parts": [
            {
                "origin": "Called in out.ndjson",
                "calls": [
                    {"syscall": 1, "name": "exit", "arch": "i386", "reason": None},
                    {"syscall": 0, "name": "read", "arch": "x86_64", "reason": None},
                    {"syscall": 39, "name": "getpid", "arch": "x86_64", "reason": None},
                ],
            },
            {
                "origin": "Base set exec: whoever loads the filter starts the program under it",
                "calls": [{"syscall": 59, "name": "execve", "arch": "x86_64", "reason": "starts the program"}],
            },
        ],
        "remarks": ["Base sets: exec."],
        "left_out": [],
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "the following arguments are required: --format"),
        (["--format=ocy"], "no profile format is named 'ocy': did you mean oci?"),
        (["--format=oci", "--base=crunn"], "no base set is named 'crunn': did you mean crun?"),
        (["--format=oci", "--base=pyton"], "no base set is named 'pyton': did you mean python?"),
        (["--format=oci", "--default=deny"], "argument --default: 'deny' is no action: "),
        (["--format=oci", "--default=trace"], "oci cannot give trace to other calls: it has errno:NAME, kill_process,"),
        (["--format=oci", "--min-tests=0"], "argument --min-tests: '0' is no number of tests: 1 or more"),
        (["--format=oci", "--json"], "--json tells what was written into a file: name one with --output"),
        (["--format=oci", "-o", "-"], "cannot write a profile to -: "),
        (["--format=oci", "-o", "/"], "cannot write a profile to /: "),
        (["--format=oci", "-o", "{trace}"], "cannot write a profile to {trace}: it is what is read: name another"),
        (["--format=oci", "-o", "{tests}"], "cannot write a profile to {tests}: it is what is read: name another"),
    ],
)
def test_errors(command: Command, trace: Trace, options: list[str], message: str) -> None:
    path = trace()
    names = {"trace": path, "tests": path.with_name("out.tests.ndjson")}
    before = {name: file.read_bytes() for name, file in names.items()}
    result = command("generate", path, *(option.format(**names) for option in options))
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith(f"pytest-seccomp: error: {message.format(**names)}")
    assert before == {name: file.read_bytes() for name, file in names.items()}
