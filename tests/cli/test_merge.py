"""`merge`: several traces into one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Command, Trace
from traces import objects, trace_of


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
    assert [line.split(maxsplit=1)[1] for line in command("why", "getpid", output).out.splitlines()[4:]] == [
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


def test_memory_does_not_grow_with_the_number_of_tests(trace: Trace, tmp_path: Path) -> None:
    """Twenty times as many tests, in a file of 20 MB, with at most a quarter more memory at the highest point."""
    path = trace()
    tests = path.with_name("out.tests.ndjson")
    first, *others = tests.read_text().splitlines(keepends=True)

    def highest(repeated: int) -> int:
        tests.write_text(first + "".join(others) * repeated)
        path.write_text("".join(json.dumps(record) + "\n" for record in trace_of(objects(tests))))
        # Not getrusage(), which remembers the memory of the process that ours was forked from.
        code = (
            "from pytest_seccomp.cli import main; from pytest_seccomp.linux.process import status_field; "
            "assert main() == 0; print(status_field('VmHWM').split()[0])"
        )
        command = [sys.executable, "-c", code, "merge", "-o", str(tmp_path / "all.ndjson"), str(path)]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        return int(result.stdout.splitlines()[-1])

    few, many = highest(1_000), highest(20_000)
    assert many < few * 1.25
