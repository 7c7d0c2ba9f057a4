"""`merge`: several traces into one."""

import fcntl
import json
import re
from pathlib import Path

import pytest
from commands import Command, Trace
from traces import X86_64, objects, run, run_line, spooled_test, trace_of, write_spool

from pytest_seccomp.recorder import salvage
from pytest_seccomp.recorder.spools import SpoolDirectory
from pytest_seccomp.trace.store import Destination


def test_shards_become_one_trace(command: Command, trace: Trace, tmp_path: Path) -> None:
    output = tmp_path / "all.ndjson"
    result = command("merge", "-o", output, trace("one"), trace("two"))
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines() == [
        f"{output}: complete, from 2 traces",
        "8 tests, 2,038 calls of 3 kinds: 2,028 in tests, 10 in collection",
    ]
    assert objects(output) == trace_of(objects(tmp_path / "all.tests.ndjson"))
    assert [(record["name"], record["count"]) for record in objects(output)] == [
        *[("exit", 2), ("read", 36), ("getpid", 2000)],
    ]


def test_the_output_is_told_as_it_was_named(
    command: Command, trace: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("merge", "-o", "all.ndjson", trace("one")).out.startswith("all.ndjson: complete, from 1 trace\n")


def test_files_as_a_shell_expands_them(command: Command, trace: Trace, tmp_path: Path) -> None:
    trace("one"), trace("two")
    result = command("merge", *sorted(tmp_path.glob("*.ndjson")), "-o", tmp_path / "merged/all.ndjson")
    assert result.out.splitlines()[0].endswith("complete, from 2 traces")
    again = command("merge", *sorted(tmp_path.glob("**/*.ndjson")), "-o", tmp_path / "merged/all.ndjson")
    assert (again.status, again.out) == (2, "")
    assert "merged/all.ndjson is both input and output and would count twice: name another output" in again.err


def test_one_command_shows_what_another_merged(command: Command, trace: Trace, tmp_path: Path) -> None:
    one, two = trace("one"), trace("two")
    two.with_name("two.tests.ndjson").unlink()
    output = tmp_path / "all.ndjson"
    merged = command("merge", "-o", output, one, two)
    counts = "4 tests, 1 trace without a tests file, 2,038 calls of 3 kinds: 2,028 in tests, 10 in collection"
    assert merged.out.splitlines()[1] == counts
    assert command("show", output).out.splitlines()[1] == f"1 run, {counts}"
    assert [line.split(maxsplit=1)[1] for line in command("why", "getpid", output).out.splitlines()[5:7]] == [
        "1,000  t.py::copy",
        "(1 test, 0 in collection: no tests file to name them)",
    ]


def test_an_incomplete_shard_is_marked(command: Command, trace: Trace, tmp_path: Path) -> None:
    result = command("merge", "-o", tmp_path / "all.ndjson", trace("one"), trace("two", complete=False))
    assert result.status == 0
    assert result.out.splitlines()[0].endswith("all.ndjson: INCOMPLETE, from 2 traces")
    assert result.out.splitlines()[2:] == ["INCOMPLETE: calls may be missing:", "  gw0: the recorder was killed"]


def test_json(command: Command, trace: Trace, tmp_path: Path) -> None:
    result = command("merge", "--json", "-o", tmp_path / "all.ndjson", trace("one"), trace("two", complete=False))
    assert json.loads(result.out) == {
        "path": str(tmp_path / "all.ndjson"),
        "tests_path": str(tmp_path / "all.tests.ndjson"),
        "complete": False,
        "lost": 0,
        "reasons": ["gw0: the recorder was killed"],
        "traces": 2,
        "tests_run": 8,
        "traces_without_tests": 0,
        "distinct": 3,
        "calls_in_tests": 2028,
        "calls_in_collection": 10,
        "calls_in_harness": 208,
    }


def test_a_damaged_trace_is_an_error_with_file_and_line_and_leaves_nothing(
    command: Command, trace: Trace, tmp_path: Path
) -> None:
    one = trace("one")
    tests = one.with_name("one.tests.ndjson")
    tests.write_text(tests.read_text().replace('"count": 1000', '"count": 1001'))
    result = command("merge", "-o", tmp_path / "merged/all.ndjson", one)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(f'pytest-seccomp: error: {tests}:3: "count" is 1001, but its phases make 1000: ')
    assert list((tmp_path / "merged").iterdir()) == []


@pytest.mark.parametrize("output", ["-", "/dev/null", "/"])
def test_an_output_that_cannot_be_is_refused(command: Command, trace: Trace, output: str) -> None:
    result = command("merge", "-o", output, trace())
    assert result.status == 2
    assert result.err.startswith(f"pytest-seccomp: error: cannot write a trace to {output}: ")


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SpoolDirectory:
    """What a run of one test has left that could not write its trace."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    directory = SpoolDirectory.create()
    salvage.describe(directory, Destination.check(tmp_path / "full/out.ndjson"), run(), append=False)
    write_spool(Path(directory.new_spool("pytest")), [spooled_test("t.py::kept", [[X86_64, 39, {"call": 7}]])])
    return directory


def test_what_a_run_has_left_becomes_a_trace(command: Command, left: SpoolDirectory, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in left.path.iterdir()}
    result = command("merge", left.path, "-o", tmp_path / "all.ndjson")
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines() == [
        f"{tmp_path}/all.ndjson: complete, from 1 trace",
        "1 test, 7 calls of 1 kind: 7 in tests, 0 in collection",
        f"no longer needed: rm -r {left.path}",
    ]
    header, test = objects(tmp_path / "all.tests.ndjson")
    assert header == run_line(1)
    assert (test["nodeid"], test["syscalls"][0]["count"]) == ("t.py::kept", 7)
    assert {path.name: path.read_bytes() for path in left.path.iterdir()} == before


def test_what_a_run_has_left_is_merged_with_traces(
    command: Command, left: SpoolDirectory, trace: Trace, tmp_path: Path
) -> None:
    result = command("merge", left.path, trace("one"), "-o", tmp_path / "all.ndjson")
    assert result.out.splitlines()[:2] == [
        f"{tmp_path}/all.ndjson: complete, from 2 traces",
        "5 tests, 1,031 calls of 3 kinds: 1,021 in tests, 10 in collection",
    ]
    again = command("merge", "--json", left.path, tmp_path / "all.ndjson", "-o", tmp_path / "more.ndjson")
    assert json.loads(again.out)["tests_run"] == 6


def test_what_a_killed_run_has_left_is_incomplete(command: Command, left: SpoolDirectory, tmp_path: Path) -> None:
    killed = run(exit_status=None)
    salvage.describe(left, Destination.check(tmp_path / "full/out.ndjson"), killed, append=False)
    result = command("merge", left.path, "-o", tmp_path / "all.ndjson")
    assert result.out.splitlines()[2:4] == [
        "INCOMPLETE: calls may be missing:",
        "  the session was killed before it had written its trace",
    ]
    assert {record["complete"] for record in objects(tmp_path / "all.ndjson")} == {False}


def test_what_is_not_left_in_good_order_is_refused(command: Command, left: SpoolDirectory, tmp_path: Path) -> None:
    """And nothing is written."""
    output = tmp_path / "merged/all.ndjson"

    def refusal(*inputs: Path, output: Path = output) -> str:
        result = command("merge", *inputs, "-o", output)
        assert (result.status, result.out) == (2, "")
        return result.err

    assert f"{tmp_path} is a directory, but not one that a run has left: name a trace" in refusal(tmp_path)
    assert f"{left.path}/../{left.path.name} is given twice" in refusal(left.path, left.path / f"../{left.path.name}")
    assert "lies in" in refusal(left.path, output=left.path / "new/out.ndjson")
    (spool,) = left.spools()
    with spool.open("rb") as written:
        fcntl.flock(written, fcntl.LOCK_EX)
        assert f"{left.path} is still written to: wait for the end of its run" in refusal(left.path)
    spool.unlink()
    assert f"{left.path} holds no records: leave it out" in refusal(left.path)
    salvage.withdraw(left)
    assert re.search(rf"{left.path}: .* nothing to merge", refusal(left.path))
    (left.path / "token").write_bytes(b"\xff")
    assert f"{left.path} is a directory, but not one that a run has left" in refusal(left.path)
    assert not output.exists()
