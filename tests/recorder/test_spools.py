"""The directory of spools: ours alone, known by its token, and gone without a trace where it cannot be written."""

import os
import resource
import stat
import tempfile
from pathlib import Path

import pytest

from pytest_seccomp.errors import RecorderError
from pytest_seccomp.recorder.ledger import Ledger
from pytest_seccomp.recorder.spool import Spool
from pytest_seccomp.recorder.spools import SpoolDirectory


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where directories are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_new_one_is_readable_by_nobody_else(temporary: Path) -> None:
    directory = SpoolDirectory.create()
    assert directory.path.parent == temporary
    assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
    assert len(directory.token) == 32
    assert SpoolDirectory.create().token != directory.token


def test_a_umask_that_denies_the_owner(temporary: Path) -> None:
    """It can be read all the same, or is refused: then nothing stays behind."""
    before = os.umask(0o777)
    try:
        if os.geteuid():
            with pytest.raises(RecorderError, match="Permission denied"):
                SpoolDirectory.create()
            assert list(temporary.iterdir()) == []
        else:  # who reads everything
            directory = SpoolDirectory.create()
            assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
            assert SpoolDirectory.at(str(directory.path)) == directory
    finally:
        os.umask(before)


def test_it_is_found_by_its_token() -> None:
    directory = SpoolDirectory.create()
    assert SpoolDirectory.find(str(directory.path), directory.token) == directory
    assert SpoolDirectory.at(str(directory.path)) == directory


def test_a_directory_with_another_token_is_not_it() -> None:
    directory, other = SpoolDirectory.create(), SpoolDirectory.create()
    assert SpoolDirectory.find(str(other.path), directory.token) is None


def test_what_is_not_there_is_not_found(temporary: Path) -> None:
    assert SpoolDirectory.find(str(temporary / "gone"), "token") is None
    with pytest.raises(RecorderError, match=r"gone: not a directory of recorded spools: No such file or directory$"):
        SpoolDirectory.at(str(temporary / "gone"))


def test_a_place_that_is_none_is_named_with_what_to_do(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "none"))
    with pytest.raises(RecorderError) as caught:
        SpoolDirectory.create()
    assert str(caught.value) == (
        f"no place for the recorder's files in {temporary / 'none'}: No such file or directory: set TMPDIR"
    )


def test_one_that_cannot_be_written_is_removed(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(RecorderError) as caught:
        SpoolDirectory.create()
    assert str(caught.value) == f"no place for the recorder's files in {temporary}: No space left on device: set TMPDIR"
    assert list(temporary.iterdir()) == []


def test_files_in_it_are_whole_and_leave_no_draft() -> None:
    directory = SpoolDirectory.create()
    directory.write("run.json", "old")
    directory.write("run.json", "n\u00e9w")
    assert (directory.path / "run.json").read_bytes() == "n\u00e9w".encode()
    assert sorted(path.name for path in directory.path.iterdir()) == ["run.json", "token"]


def test_spools_by_worker() -> None:
    directory = SpoolDirectory.create()
    paths = {name: [directory.new_spool(name) for _ in range(2)] for name in ("gw1", "gw10", "pytest")}
    assert len({path for pair in paths.values() for path in pair}) == 6
    for pair in paths.values():
        for path in pair:
            Path(path).touch()
    for name, pair in paths.items():
        assert [str(path) for path in directory.spools(name)] == sorted(pair)
    assert len(directory.spools()) == 6


def test_waiting_names_the_spools_that_are_still_written() -> None:
    directory = SpoolDirectory.create()
    done, written = (Spool(directory.new_spool(name)) for name in ("gw0", "gw1"))
    done.close()
    assert directory.wait_until_written(0) == [Path(written.path)]
    written.close()
    assert directory.wait_until_written(0) == []


def test_whether_a_test_was_recorded() -> None:
    """To its end or not; in any of the spools."""
    directory = SpoolDirectory.create()
    assert not directory.has_tests()
    collecting = Ledger(Spool(directory.new_spool("gw0")), '"gw0"', '"notify"')
    collecting.collected()
    assert not directory.has_tests()
    collecting.close([])
    assert not directory.has_tests()
    testing = Ledger(Spool(directory.new_spool("gw1")), '"gw1"', '"notify"')
    testing.begin(4, '"t.py::a"', 0)
    assert not directory.has_tests()
    testing.close([])
    assert directory.has_tests()
    assert collecting.closed


def test_spools_that_somebody_removes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between looking for them and reading them."""
    directory = SpoolDirectory.create()
    there = Spool(directory.new_spool("gw0"))
    paths = [directory.path / "gone.ndjson", Path(there.path)]
    monkeypatch.setattr(SpoolDirectory, "spools", lambda *_: paths)
    assert not directory.has_tests()
    assert directory.wait_until_written(0) == [Path(there.path)]
    there.close()


def test_no_spool_can_be_looked_for() -> None:
    """Which is not the same as none that is there."""
    directory = SpoolDirectory.create()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            directory.spools()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    directory.remove()
    assert directory.spools() == []


def test_removing_it_twice_is_nothing() -> None:
    directory = SpoolDirectory.create()
    directory.remove()
    directory.remove()
    assert not directory.path.exists()
