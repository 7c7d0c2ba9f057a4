"""`prune`: what complete traces never made is taken away from a profile, and nothing else."""

import json
from pathlib import Path

import profiles
import pytest
from commands import Command
from traces import X86_64, run, spooled_other, spooled_test, write_spool

from pytest_seccomp.trace.store import Destination, write_trace

READ, OPENAT, I386, SOCKETCALL = 0, 257, 0x40000003, 102

NAMES = ["connect", "futex", "newer_than_all", "openat", "read", "socket"]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A test reads, and the collection opens files."""
    lines = [
        spooled_test("t.py::a", [[X86_64, READ, {"call": 2}]]),
        spooled_other("collect", {(X86_64, OPENAT): 1}),
        spooled_other("harness", {(X86_64, 42): 1}),
    ]
    spool = write_spool(tmp_path / "out.spool", lines)
    return write_trace(Destination.check(tmp_path / "out.ndjson"), run(), [spool]).path


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    return profiles.write(
        tmp_path / "profile.json",
        {"names": NAMES, "action": profiles.ALLOW},
        {"names": ["bpf"], "action": profiles.ALLOW, "includes": {"caps": ["CAP_BPF"]}},
        {"names": ["ptrace"], "action": "SCMP_ACT_TRAP"},
        {"names": ["clone"], "action": profiles.ALLOW, "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
        architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
    )


def test_what_no_trace_has_goes(command: Command, profile: Path, trace: Path) -> None:
    before = profile.read_text()
    dry = command("prune", profile, trace, "--keep=futex", "--dry-run")
    assert profile.read_text() == before
    result = command("prune", profile, trace, "--keep=futex")
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines() == [
        '- "clone"', '- "connect"', '- "socket"',
        f"{profile}: 3 names removed, 4 kept",
        "not judged, because they hold on some hosts only (includes, excludes): 1 name",
    ]  # fmt: skip
    assert dry.out == result.out.replace("removed", "to be removed")
    document = json.loads(before)
    del document["syscalls"][3]
    document["syscalls"][0]["names"] = ["futex", "newer_than_all", "openat", "read"]
    assert profile.read_text() == json.dumps(document, indent=2) + "\n"
    again = command("prune", profile, trace, "--keep=futex", "--json")
    assert json.loads(again.out)["removed"] == []
    assert [path.name for path in profile.parent.glob("profile*")] == ["profile.json"]


def test_what_generate_has_added_around_the_program_stays(command: Command, trace: Path, tmp_path: Path) -> None:
    made, fewer = tmp_path / "made.json", tmp_path / "fewer.ndjson"
    assert command("generate", trace, "--format=oci", "--bare", "--base=exec", "-o", made).status == 0
    spool = write_spool(tmp_path / "fewer.spool", [spooled_test("t.py::a", [[X86_64, READ, {"call": 1}]])])
    write_trace(Destination.check(fewer), run(), [spool])
    before = json.loads(made.read_text())["syscalls"]
    result = command("prune", made, fewer)
    assert result.out.splitlines()[:2] == ['- "openat"', f"{made}: 1 name removed, 1 kept"]
    assert "not judged, because they are base sets: " in result.out
    before[0]["names"].remove("openat")
    assert json.loads(made.read_text())["syscalls"] == before
    assert len(before) > 1


def test_what_a_base_set_needs_stays_also_where_a_trace_had_it(command: Command, trace: Path, tmp_path: Path) -> None:
    """runc closes what it has open, which takes openat and read: without them it would not start the program."""
    made, other = tmp_path / "made.json", tmp_path / "other.ndjson"
    assert command("generate", trace, "--format=oci", "-o", made).status == 0
    before = made.read_text()
    spool = write_spool(tmp_path / "other.spool", [spooled_test("t.py::a", [[X86_64, 39, {"call": 1}]])])
    write_trace(Destination.check(other), run(), [spool])
    assert f"{made}: 0 names removed, 0 kept" in command("prune", made, other).out
    assert made.read_text() == before


def test_parts_of_socketcall_stay_where_it_was_made(command: Command, profile: Path, tmp_path: Path) -> None:
    spool = write_spool(tmp_path / "i.spool", [spooled_test("t.py::a", [[I386, SOCKETCALL, {"call": 1}]])])
    trace = write_trace(Destination.check(tmp_path / "i.ndjson"), run(), [spool]).path
    removed = json.loads(command("prune", profile, trace, "--json", "--keep=@file-system").out)["removed"]
    assert removed == ["clone", "futex", "read"]


def test_a_trace_that_may_lack_calls_takes_nothing_away(command: Command, profile: Path, tmp_path: Path) -> None:
    before = profile.read_text()
    spool = write_spool(tmp_path / "i.spool", [spooled_test("t.py::a", [[X86_64, READ, {"call": 1}]])])
    incomplete = run(complete=False, lost=None, reasons=["the recorder died"])
    trace = write_trace(Destination.check(tmp_path / "i.ndjson"), incomplete, [spool]).path
    result = command("prune", profile, trace)
    assert result.status == 2
    assert "i.ndjson is incomplete (the recorder died): what it lacks would be taken away" in result.err
    assert profile.read_text() == before


def test_a_profile_for_other_machines_as_well_takes_their_traces(command: Command, profile: Path, trace: Path) -> None:
    profile.write_text(profile.read_text().replace('"SCMP_ARCH_X86"', '"SCMP_ARCH_AARCH64"'))
    result = command("prune", profile, trace)
    assert (result.status, "is also for aarch64, of which there is no trace" in result.err) == (2, True)
    assert command("prune", profile, trace, "--allow-untraced").status == 0


@pytest.mark.parametrize("arguments", [["--keep=sockett"], ["--keep=@no-such"]])
def test_what_is_kept_must_be_something(command: Command, profile: Path, trace: Path, arguments: list[str]) -> None:
    assert command("prune", profile, trace, *arguments).status == 2
    assert command("prune", trace, trace).err.endswith("only profiles can be pruned; record a trace anew\n")
