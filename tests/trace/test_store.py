"""Writing a trace: from spools, on top of an earlier one, from shards, and by many processes at the same time."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from traces import (
    END,
    X86_64,
    final_line,
    lines,
    objects,
    run,
    run_line,
    spooled_other,
    spooled_test,
    trace_of,
    write_spool,
)  # fmt: skip

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace import length
from pytest_seccomp.trace.store import Destination, Written, write_trace
from pytest_seccomp.trace.totals import Figures

READ, WRITE, GETPID = (X86_64, 0), (X86_64, 1), (X86_64, 39)
SPOOLED = [
    spooled_other("collect", {READ: 10, WRITE: 1}),
    spooled_test("t.py::a", [[*READ, {"setup": 2, "call": 7}], [*GETPID, {"call": 1000}]]),
    spooled_test("t.py::b", [], outcome="failed"),
    spooled_other("harness", {READ: 99}),
]


def write(path: Path, *spools: Path, append: bool = False, **members: Any) -> Written:
    """Write a trace, and check what holds for all of them: PATH follows from the tests file, nothing else is left."""
    written = write_trace(Destination.check(path, append=append), run(**members), spools, append=append)
    tests = objects(written.tests)
    complete = all(line["complete"] for line in tests)
    assert objects(written.path) == trace_of(tests, complete)
    assert written.file_complete is complete
    assert {file.name for file in path.parent.iterdir()} - {spool.name for spool in spools} == {
        path.name,
        written.tests.name,
    }
    return written


def test_a_run_makes_both_files(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    spool = write_spool(tmp_path / "spool", SPOOLED)
    written = write(tmp_path / "out/out.ndjson", spool, workers=2)
    assert (written.path, written.tests) == (tmp_path / "out/out.ndjson", tmp_path / "out/out.tests.ndjson")
    assert objects(written.tests) == [run_line(4, workers=2), *map(final_line, SPOOLED)]
    assert objects(written.path) == [
        {"syscall": 0, "name": "read", "count": 19, "arch": "x86_64", "tests": 1, "collection": 10},
        {"syscall": 1, "name": "write", "count": 1, "arch": "x86_64", "tests": 0, "collection": 1},
        {"syscall": 39, "name": "getpid", "count": 1000, "arch": "x86_64", "tests": 1, "collection": 0},
    ]
    assert (written.complete, written.lost, written.reasons, written.replaced_other) == (True, 0, [], False)
    assert written.figures == Figures(tests=2, distinct=3, in_tests=1009, collection=11, harness=99)
    assert [record.name for record in written.records] == ["getpid", "read", "write"]


def test_a_reader_of_three_fields_can_read_path(tmp_path: Path) -> None:
    write(tmp_path / "out.ndjson", write_spool(tmp_path / "spool", SPOOLED))
    found = {}
    for line in (tmp_path / "out.ndjson").read_text().splitlines():
        record = json.loads(line)
        found[record["syscall"]] = (record["name"], record["count"])
    assert found == {0: ("read", 19), 1: ("write", 1), 39: ("getpid", 1000)}


def test_spools_of_workers_come_together(tmp_path: Path) -> None:
    spools = [
        write_spool(tmp_path / f"spool{index}", [{**line, "worker": f"gw{index}"} for line in SPOOLED])
        for index in range(3)
    ]
    written = write(tmp_path / "out.ndjson", *spools)
    assert written.figures == Figures(tests=6, distinct=3, in_tests=3027, collection=11, harness=297)


@given(st.lists(st.lists(lines, max_size=3), max_size=3), st.booleans())
@settings(max_examples=50)
def test_any_spools_make_a_trace_that_follows_the_rule(spooled: list[list[dict[str, Any]]], complete: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spools = [
            write_spool(Path(folder, f"spool{index}"), found, END if complete else None)
            for index, found in enumerate(spooled)
        ]
        written = write(Path(folder, "out.ndjson"), *spools)
        header, *others = objects(written.tests)
        assert others == [final_line(line) for found in spooled for line in found]
        sound = all(line["complete"] for line in others) and (complete or not spools)
        assert (header["complete"], written.complete) == (sound, sound)
        assert ("reasons" in header) is not sound


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize("lost", [0, 12345])
@pytest.mark.parametrize("reasons", [[], ["pytest was killed"]])
def test_the_line_of_the_run_says_what_its_spools_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, lost: int, reasons: list[str]
) -> None:
    """It is written first and known last: it becomes longer, or shorter, with all other lines already there."""
    monkeypatch.setattr(length, "_CHUNK", chunk)
    full = write_spool(tmp_path / "full", SPOOLED, {**END, "lost": None, "complete": False, "reasons": []})
    silent = write_spool(tmp_path / "silent", SPOOLED, {**END, "lost": None})
    for spool, more in ((full, ["the recorder's trace is incomplete"]), (silent, [])):
        written = write(tmp_path / "out/out.ndjson", spool, complete=not reasons, lost=lost, reasons=reasons)
        expected = [*reasons, *more]
        assert (written.complete, written.lost, written.reasons) == (not expected, None, expected)
        header, *others = objects(written.tests)
        assert header == run_line(4, complete=not expected, lost=None, reasons=expected)
        assert others == list(map(final_line, SPOOLED))


def test_an_incomplete_trace_says_so_in_every_record(tmp_path: Path) -> None:
    written = write(tmp_path / "out/out.ndjson", write_spool(tmp_path / "spool", SPOOLED, end=None))
    assert written.reasons == ["the recorder did not come to its end"]
    assert [record["complete"] for record in objects(written.path)] == [False] * 3


def test_appending_adds_a_run_and_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "out/out.ndjson"
    spool = write_spool(tmp_path / "spool", SPOOLED)
    first = write(path, spool, append=True)
    before = objects(first.tests)
    second = write(path, spool, append=True, python="3.12.0")
    after = objects(second.tests)
    assert after[:5] == [{**before[0], "lines": 9}, *before[1:]]
    assert [line["python"] for line in after if line["kind"] == "run"] == ["3.13.0", "3.12.0"]
    assert objects(path)[0] == {
        "syscall": 0,
        "name": "read",
        "count": 28,
        "arch": "x86_64",
        "tests": 2,
        "collection": 10,
    }
    assert second.figures == first.figures  # of the run, not of the file
    assert not second.replaced_other


def test_appending_to_an_incomplete_trace_leaves_it_incomplete(tmp_path: Path) -> None:
    path = tmp_path / "out/out.ndjson"
    write(path, write_spool(tmp_path / "torn", SPOOLED, end=None))
    written = write(path, write_spool(tmp_path / "spool", SPOOLED), append=True)
    assert (written.complete, written.file_complete) == (True, False)


def test_appending_to_a_trace_without_its_tests_file_keeps_its_records(tmp_path: Path) -> None:
    path = tmp_path / "out/out.ndjson"
    spool = write_spool(tmp_path / "spool", SPOOLED)
    first = write(path, spool)
    records = objects(path)
    first.tests.unlink()
    written = write_trace(Destination.check(path, append=True), run(), [spool], append=True)
    assert objects(written.tests)[0] == {"kind": "trace", "complete": True, "syscalls": records, "lines": 5}
    both = {record["name"]: record["count"] for record in objects(path)}
    assert both == {"read": 28, "write": 1, "getpid": 2000}


def test_appending_to_an_empty_file_is_a_first_run(tmp_path: Path) -> None:
    path = tmp_path / "out/out.ndjson"
    path.parent.mkdir()
    path.touch()
    assert write(path, write_spool(tmp_path / "spool", SPOOLED), append=True).file_complete


def test_a_trace_whose_path_was_removed_is_not_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "out/out.ndjson"
    spool = write_spool(tmp_path / "spool", SPOOLED)
    write(path, spool)
    path.unlink()
    written = write(path, spool, append=True)
    assert objects(written.tests) == [run_line(4), *map(final_line, SPOOLED)]


def test_replacing_what_was_there_at_the_check_is_no_surprise_but_another_runs_trace_is(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    spool = write_spool(tmp_path / "spool", SPOOLED)
    mine, others = Destination.check(path), Destination.check(path)
    assert not write_trace(others, run(), [spool]).replaced_other
    assert write_trace(mine, run(), [spool]).replaced_other
    again = Destination.check(path)
    assert not write_trace(again, run(), [spool]).replaced_other
    assert not write_trace(mine, run(), [spool], append=True).replaced_other


def test_a_damaged_trace_is_not_appended_to_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    spool = write_spool(tmp_path / "spool", SPOOLED)
    written = write_trace(Destination.check(path), run(), [spool])
    place = Destination.check(path, append=True)
    damaged = written.tests.read_text()[:-20]
    written.tests.write_text(damaged)
    with pytest.raises(TraceError, match=r"out.tests.ndjson:5: no JSON"):
        write_trace(place, run(), [spool], append=True)
    assert written.tests.read_text() == damaged
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.ndjson", "out.tests.ndjson", "spool"]


WITH_FEW_FILES = """
import json
import os
import resource
import sys
from pathlib import Path
from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.records import Run
from pytest_seccomp.trace.store import Destination, write_trace

path, spool = Path(sys.argv[1]), Path(sys.argv[2])
run = Run.from_object(json.loads(sys.argv[3]))
destination = Destination.check(path)
write_trace(destination, run, [spool])
path.unlink()
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
for limit in range(3, 20):
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        print(write_trace(destination, run, [spool]).complete)
    except TraceError as error:
        assert not path.exists()
        print(error)
"""


def test_where_no_more_files_may_be_opened_nothing_is_written_without_its_spools(tmp_path: Path) -> None:
    """Of all the limits that a test can leave behind, each ends in an error or in the whole trace."""
    spool, path = write_spool(tmp_path / "spool", SPOOLED), tmp_path / "out/out.ndjson"
    command = [sys.executable, "-c", WITH_FEW_FILES, str(path), str(spool), run().format()]
    output = subprocess.run(command, stdout=PIPE, stderr=STDOUT, text=True, check=False).stdout.splitlines()
    reason = "Too many open files (EMFILE): let no test leave a low limit of open files behind (RLIMIT_NOFILE)"
    assert dict.fromkeys(line.removesuffix("; what was there is unchanged") for line in output) == dict.fromkeys(
        [
            f"cannot lock {path}.lock: {reason}",
            f"cannot write {path}: {reason}",
            f"cannot read what was recorded in {spool}: {reason}",
            "True",
        ]
    )
    assert len(output) == 17
    assert objects(path) == trace_of(map(final_line, SPOOLED))


WHEN_TOLD = """
import json
import sys
from pathlib import Path
from pytest_seccomp.trace.records import Run
from pytest_seccomp.trace.store import Destination, write_trace

path, spool, append = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "append"
run = Run.from_object(json.loads(sys.argv[4]))
destination = Destination.check(path, append=append)
print("checked", flush=True)
sys.stdin.read()  # until all have
written = write_trace(destination, run, [spool], append=append)
print(int(written.replaced_other))
"""


@pytest.mark.parametrize("append", ["append", "replace"])
def test_eight_runs_at_once_leave_whole_files_of_the_same_runs(tmp_path: Path, append: str) -> None:
    path, tests = tmp_path / "out/out.ndjson", tmp_path / "out/out.tests.ndjson"
    reading, writing = os.pipe()
    last_reading, last_writing = os.pipe()
    processes = []
    with open(reading) as start, open(last_reading) as start_of_the_last:
        for index in range(8):
            spooled = [spooled_test(f"t{index}.py::t{n}", [[*READ, {"call": index + 1}]]) for n in range(300)]
            spool = write_spool(tmp_path / f"spool{index}", spooled)
            command = [
                sys.executable,
                "-c",
                WHEN_TOLD,
                str(path),
                str(spool),
                append,
                run(selection=[str(index)]).format(),
            ]
            stdin = start if index < 7 else start_of_the_last
            processes.append(Popen(command, stdin=stdin, stdout=PIPE, stderr=STDOUT, text=True))
    assert [process.stdout and process.stdout.readline() for process in processes] == ["checked\n"] * 8
    os.close(writing)
    looks = 0
    while any(process.poll() is None for process in processes):
        for file in (path, tests):
            if file.exists():
                objects(file)  # each line whole, at every moment
                looks += 1
        if looks and last_writing:
            os.close(last_writing)  # not before: the others may have written before there was a look
            last_writing = 0
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, outputs
    assert sorted(file.name for file in path.parent.iterdir()) == ["out.ndjson", "out.tests.ndjson"]
    found = objects(tests)
    assert objects(path) == trace_of(found)
    runs = [line["selection"][0] for line in found if line["kind"] == "run"]
    replaced = [int(output) for output in outputs]
    if append == "append":
        assert (sorted(runs), replaced) == ([str(index) for index in range(8)], [0] * 8)
        assert len(found) == 8 * 301
    else:
        assert len(runs) == 1
        assert sum(replaced) == 7  # all but the first have replaced another's
        assert {line["nodeid"] for line in found[1:]} == {f"t{runs[0]}.py::t{n}" for n in range(300)}
