"""Which files make up one trace, and what is noticed where they are damaged."""

import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from traces import X86_64, final_line, run, spooled_other, spooled_test, trace_of

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.reading import LineParser
from pytest_seccomp.trace.records import Record
from pytest_seccomp.trace.sources import Source, find, find_all
from pytest_seccomp.trace.totals import Totals

LINES = [
    final_line(spooled_other("collect", {(X86_64, 0): 5})),
    final_line(spooled_test("a", [[X86_64, 0, {"call": 1}]])),
]


def write(path: Path, *members: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in members))
    return path


def trace(folder: Path, name: str = "out") -> tuple[Path, Path]:
    """Both files of a trace."""
    path = write(folder / f"{name}.ndjson", *trace_of(LINES))
    return path, write(folder / f"{name}.tests.ndjson", json.loads(run().format()), *LINES)


def refusal(path: Path) -> str:
    """Why reading a trace ends with an error."""
    with pytest.raises(TraceError) as caught:
        list(find(path).items(LineParser(), Totals()))
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_trace_is_found_by_either_file(tmp_path: Path) -> None:
    path, tests = trace(tmp_path)
    assert find(path) == find(tests) == Source(path, tests)
    assert find(path).files == [path, tests]


def test_files_are_named_as_the_user_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace(tmp_path)
    monkeypatch.chdir(tmp_path)
    both = Source(Path("out.ndjson"), Path("out.tests.ndjson"))
    assert find(Path("out.ndjson")) == find(Path("out.tests.ndjson")) == both


def test_a_trace_of_which_one_file_is_left_is_found(tmp_path: Path) -> None:
    path, tests = trace(tmp_path)
    tests = tests.rename(tmp_path / "other.tests.ndjson")
    assert find(path) == Source(path, None)
    assert find(tests) == Source(None, tests)
    assert (find(path).files, find(tests).files) == ([path], [tests])
    renamed = tests.rename(tmp_path / "any-name")
    assert find(renamed) == Source(None, renamed)


def test_the_other_file_lies_beside_the_file_not_beside_a_link_to_it(tmp_path: Path) -> None:
    path, tests = trace(tmp_path)
    (tmp_path / "links").mkdir()
    link, tests_link = tmp_path / "links/latest.ndjson", tmp_path / "links/tests.ndjson"
    link.symlink_to("../out.ndjson")
    tests_link.symlink_to("../out.tests.ndjson")
    assert find(link) == Source(link, tests)
    assert find(tests_link) == Source(path, tests_link)


def test_both_files_of_a_trace_are_one(tmp_path: Path) -> None:
    path, tests = trace(tmp_path, "a")
    other, other_tests = trace(tmp_path, "b")
    both = [Source(path, tests), Source(other, other_tests)]
    assert find_all([path, other]) == both
    assert find_all([path, tests, other, other_tests]) == both  # as a shell expands *.ndjson
    assert find_all([tests, path, other_tests, other]) == both


def test_a_file_given_twice_is_refused(tmp_path: Path) -> None:
    path, _ = trace(tmp_path)
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "hard-link").hardlink_to(path)
    for again in (path, tmp_path / "link", tmp_path / "hard-link"):
        with pytest.raises(TraceError, match=re.escape(f"{again} is given twice and would count twice")):
            find_all([path, again])


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name, reason in {
        ".": "is a directory, which cannot be read as a trace: name a file",
        "pipe": "is a named pipe, which cannot be read as a trace: name a file",
        "gone": r"No such file or directory \(ENOENT\): name a trace or its tests file",
        "loop": r"Too many levels of symbolic links \(ELOOP\): name",
        "n" * 300: r"File name too long \(ENAMETOOLONG\): name",
        "nul\0": "embedded null",
    }.items():
        assert re.search(reason, refusal(tmp_path / name))


@pytest.mark.needs("unprivileged")
def test_what_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path, _ = trace(tmp_path)
    path.chmod(0)
    assert "Permission denied (EACCES)" in refusal(path)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    try:
        assert "Permission denied (EACCES)" in refusal(closed / "out.ndjson")
    finally:
        closed.chmod(0o700)


def test_copying_keeps_every_line_as_it_stands(tmp_path: Path) -> None:
    _, tests = trace(tmp_path)
    tests.write_text(tests.read_text().replace('"arch": ', '"arch":  ').rstrip("\n"))
    output = io.BytesIO()
    totals = find(tests).write_to(output)
    assert output.getvalue() == tests.read_bytes() + b"\n"
    assert totals.records() == [Record(0, "read", 6, "x86_64", 1, 5)]


def test_a_trace_without_its_tests_file_is_copied_as_one_line(tmp_path: Path) -> None:
    path, tests = trace(tmp_path)
    tests.unlink()
    output = io.BytesIO()
    totals = find(path).write_to(output)
    assert json.loads(output.getvalue()) == {"kind": "trace", "complete": True, "syscalls": trace_of(LINES)}
    assert totals.records() == [Record(0, "read", 6, "x86_64", 1, 5)]
    assert totals.complete


@pytest.mark.parametrize("name", ["out.ndjson", "out.tests.ndjson"])
def test_an_empty_file_is_no_trace(tmp_path: Path, name: str) -> None:
    """Every run has its line, and makes calls."""
    path = write(tmp_path / name)
    assert refusal(path) == f"{path} is empty, as no trace is: record it anew or leave it out"


def test_a_run_without_a_single_call_is_a_trace(tmp_path: Path) -> None:
    """Where all that was recorded was lost, the run's line says so."""
    lost = run(complete=False, reasons=["gone"])
    path, _ = write(tmp_path / "out.ndjson"), write(tmp_path / "out.tests.ndjson", lost.members)
    totals = Totals()
    assert [item for _, item in find(path).items(LineParser(), totals)] == [lost]
    assert not totals.complete


@pytest.mark.parametrize("beginning", [[], [{"kind": "trace", "complete": True, "syscalls": trace_of(LINES)}]])
def test_a_tests_file_without_the_line_of_its_run_is_refused(tmp_path: Path, beginning: list[dict[str, Any]]) -> None:
    tests = write(tmp_path / "out.tests.ndjson", *beginning, *LINES)
    line = len(beginning) + 1
    assert refusal(tests).startswith(f"{tests}:{line}: the line of the run is missing before it: not a trace, or ")


def test_wherever_a_tests_file_is_cut_it_is_noticed(tmp_path: Path) -> None:
    """In a line, between two lines, at the very beginning: PATH does not follow from what is left."""
    _, tests = trace(tmp_path)
    whole = tests.read_bytes()
    for length in range(len(whole) - 1):  # the last character is the end of the last line, which may lack it
        tests.write_bytes(whole[:length])
        for named in (tmp_path / "out.ndjson", tests):
            assert str(tests) in refusal(named)


def test_wherever_path_is_cut_it_is_noticed(tmp_path: Path) -> None:
    path, tests = trace(tmp_path)
    whole = path.read_bytes()
    for length in range(len(whole) - 1):
        path.write_bytes(whole[:length])
        for named in (path, tests):
            assert str(path) in refusal(named)


def test_files_of_two_runs_are_refused(tmp_path: Path) -> None:
    path, tests = trace(tmp_path)
    write(path, *trace_of(LINES[:1]))
    assert refusal(path) == (
        f"{path} and {tests} do not agree: one of them is damaged, of another run, or being replaced just now: "
        "try again, or move the wrong one away"
    )


def test_the_two_files_of_a_trace_are_told_apart(tmp_path: Path) -> None:
    path, tests = trace(tmp_path)
    with pytest.raises(TraceError, match="the tests of a trace where its records should be"):
        list(Source(tests, None).items(LineParser(), Totals()))
    with pytest.raises(TraceError, match=r"out.ndjson:1: a record of a trace among its tests"):
        list(Source(None, path).items(LineParser(), Totals()))
