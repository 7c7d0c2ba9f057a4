"""Merging in place of a killed session: what is in the directory goes into PATH, and the directory goes."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_seccomp.errors import RecorderError, TraceError
from pytest_seccomp.recorder import salvage
from pytest_seccomp.recorder.ledger import Ledger
from pytest_seccomp.recorder.spool import Spool
from pytest_seccomp.recorder.spools import SpoolDirectory
from pytest_seccomp.trace.records import Run
from pytest_seccomp.trace.store import Destination

GETPPID = 0xC000003E << 32 | 110
"""On x86-64, whatever this machine is."""

EARLIER = '{"syscall": 110, "name": "getppid", "count": 5, "arch": "x86_64", "tests": 1, "collection": 0}\n'

RUN = Run(
    backend="notify",
    complete=True,
    lost=0,
    exit_status=None,
    selection=["tests"],
    python="3.13.0",
    pytest="9.2.0",
    kernel="6.18.0",
    arch="x86_64",
    workers=0,
    reasons=[],
)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SpoolDirectory:
    """A directory with a spool of one test that was cut off after 7 calls."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    directory = SpoolDirectory.create()
    ledger = Ledger(Spool(directory.new_spool("pytest")), "null", '"notify"')
    ledger.begin(4, '"test_a.py::test_a"', 0)
    ledger.counts(4 + 1)[GETPPID] = 7
    ledger.close(["pytest was killed"])
    return directory


def describe(directory: SpoolDirectory, path: Path, *, append: bool = False) -> None:
    salvage.describe(directory, Destination.check(path, append=append), RUN, append=append)


def records(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_was_recorded_is_merged_and_incomplete(directory: SpoolDirectory, tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    describe(directory, path)
    salvage.main(str(directory.path))
    (record,) = records(path)
    assert (record["name"], record["count"], record["complete"]) == ("getppid", 7, False)
    run, test, *_ = records(tmp_path / "out.tests.ndjson")
    assert run["complete"] is False
    assert run["exit_status"] is None
    assert run["selection"] == ["tests"]
    assert run["reasons"] == [
        "the session was killed before it had written its trace",
        "test_a.py::test_a did not finish",
        "pytest was killed",
    ]
    assert (test["nodeid"], test["outcome"], test["complete"]) == ("test_a.py::test_a", None, False)
    assert not directory.path.exists()


@pytest.mark.parametrize("append", [True, False])
def test_appending(directory: SpoolDirectory, tmp_path: Path, append: bool) -> None:
    path = tmp_path / "out.ndjson"
    path.write_text(EARLIER)
    describe(directory, path, append=append)
    salvage.main(str(directory.path))
    (record,) = records(path)
    assert record["count"] == (12 if append else 7)


def test_a_session_that_was_killed_before_its_first_test_replaces_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    directory = SpoolDirectory.create()
    Ledger(Spool(directory.new_spool("pytest")), "null", '"notify"').close(["pytest was killed"])
    path = tmp_path / "out.ndjson"
    path.write_text(EARLIER)
    describe(directory, path)
    salvage.main(str(directory.path))
    assert path.read_text() == EARLIER
    assert not directory.path.exists()


def test_the_run_in_a_directory(directory: SpoolDirectory, tmp_path: Path) -> None:
    """As it was described last: one that has an exit status came to its end."""
    destination = Destination.check(tmp_path / "out.ndjson")
    salvage.describe(directory, destination, RUN, append=False)
    killed = ["the session was killed before it had written its trace"]
    assert salvage.run_of(directory) == replace(RUN, complete=False, reasons=killed)
    ended = replace(RUN, exit_status=1, workers=2)
    salvage.describe(directory, destination, ended, append=False)
    assert salvage.run_of(directory) == ended


def test_a_directory_without_a_run(directory: SpoolDirectory) -> None:
    with pytest.raises(RecorderError, match=": no run is described here, or its trace is written already: nothing "):
        salvage.run_of(directory)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"path": "out", "append": false}', '{"run": {"backend": 1}}'])
def test_a_description_that_is_damaged(directory: SpoolDirectory, text: str) -> None:
    (directory.path / "run.json").write_text(text)
    with pytest.raises(RecorderError, match=r"/run\.json: cannot be read, or is damaged: "):
        salvage.run_of(directory)


def test_the_command_for_a_user(directory: SpoolDirectory, tmp_path: Path) -> None:
    """One that can be pasted. What is appended to is no output: it would be lost if that went wrong."""
    place = tmp_path / "a place"
    place.mkdir()
    path = place / "out.ndjson"
    for append in (False, True):
        command = salvage.by_hand(directory, path, append=append)
        assert command == f"pytest-seccomp merge {directory.path} -o '{place}/out.ndjson'"
    path.write_text(EARLIER)
    assert salvage.by_hand(directory, path, append=False) == command
    assert salvage.by_hand(directory, path, append=True) == (
        f"pytest-seccomp merge '{place}/out.ndjson' {directory.path} -o '{place}/out-merged.ndjson'"
    )


def test_nothing_to_merge(directory: SpoolDirectory, tmp_path: Path) -> None:
    """Without a description there is no PATH: killed before anything was run, or withdrawn."""
    describe(directory, tmp_path / "out.ndjson")
    salvage.withdraw(directory)
    salvage.main(str(directory.path))
    assert not directory.path.exists()
    assert not (tmp_path / "out.ndjson").exists()


def test_withdrawing_twice_and_from_a_directory_that_is_gone(directory: SpoolDirectory) -> None:
    salvage.withdraw(directory)
    salvage.withdraw(directory)
    directory.remove()
    salvage.withdraw(directory)


def test_it_waits_for_the_recorders_that_still_write(directory: SpoolDirectory, tmp_path: Path) -> None:
    """A worker's recorder outlives the controller's end."""
    path = tmp_path / "out.ndjson"
    describe(directory, path)
    ledger = Ledger(Spool(directory.new_spool("gw0")), '"gw0"', '"notify"')
    command = salvage.command(directory)
    with subprocess.Popen(command, cwd="/") as merging:
        with pytest.raises(subprocess.TimeoutExpired):
            merging.wait(1)  # nothing depends on how long
        assert not path.exists()
        ledger.begin(4, '"test_b.py::test_b"', 0)
        ledger.counts(4 + 1)[GETPPID] = 100
        ledger.end(4, '"passed"')
        ledger.close([])
        assert merging.wait(60) == 0
    (record,) = records(path)
    assert record["count"] == 107


def test_the_command_needs_neither_environment_nor_site(directory: SpoolDirectory, tmp_path: Path) -> None:
    """It finds the packages where pytest found them, whatever became of the environment and the working directory."""
    describe(directory, tmp_path / "out.ndjson")
    result = subprocess.run(salvage.command(directory), cwd="/", env={}, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert not directory.path.exists()
    assert records(tmp_path / "out.ndjson")


def test_where_it_cannot_be_merged_it_is_kept(directory: SpoolDirectory, tmp_path: Path) -> None:
    place = tmp_path / "place"
    describe(directory, place / "out.ndjson")
    place.rmdir()
    place.write_text("taken")
    with pytest.raises(TraceError) as caught:
        salvage.main(str(directory.path))
    assert len(directory.spools()) == 1
    why, what_to_do = (directory.path / "not-merged.txt").read_text().splitlines()
    assert why == str(caught.value)
    assert what_to_do == f"What was recorded is kept: pytest-seccomp merge {directory.path} -o {place / 'out.ndjson'}"


def test_the_description_is_whole_or_not_there(directory: SpoolDirectory, tmp_path: Path) -> None:
    """Its name appears with its content."""
    describe(directory, tmp_path / "out.ndjson")
    names = sorted(path.name for path in directory.path.iterdir())
    assert [name for name in names if name.endswith(".new")] == []
    assert json.loads((directory.path / "run.json").read_text())["run"]["selection"] == ["tests"]
    assert os.stat(directory.path).st_mode & 0o777 == 0o700
    assert sys.executable in salvage.command(directory)
