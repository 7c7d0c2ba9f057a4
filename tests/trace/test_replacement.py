"""Replacing two files together: whole or not at all, with the mode and owner that they had."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.destination import Destination
from pytest_seccomp.trace.replacement import replacing

WRITE_A_MEGABYTE = """
import sys
from pathlib import Path
from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.destination import Destination
from pytest_seccomp.trace.replacement import replacing

destination = Destination.check(Path(sys.argv[1]))
{limit}
try:
    with replacing(destination) as new:
        for _ in range(1024):
            new.tests.write(b"x" * 1023 + b"\\n")
        new.records.write(b"new")
except TraceError as error:
    print(error)
"""


def destination(folder: Path) -> Destination:
    """Of a trace that is there."""
    place = Destination.check(folder / "out.ndjson")
    place.path.write_text("old records")
    place.tests.write_text("old tests")
    return place


def no_links(*_: object) -> None:
    """link(2) on a file system without hard links."""
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def replace(place: Destination) -> None:
    with replacing(place) as new:
        new.tests.write(b"new tests")
        new.records.write(b"new records")


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


OLD = {"out.ndjson": "old records", "out.tests.ndjson": "old tests"}
NEW = {"out.ndjson": "new records", "out.tests.ndjson": "new tests"}


def test_both_files_are_replaced(tmp_path: Path) -> None:
    replace(destination(tmp_path))
    assert contents(tmp_path) == NEW


def test_both_files_are_made(tmp_path: Path) -> None:
    replace(Destination.check(tmp_path / "out.ndjson"))
    assert contents(tmp_path) == NEW


def test_a_directory_that_has_gone_is_made_again(tmp_path: Path) -> None:
    place = Destination.check(tmp_path / "build/out.ndjson")
    place.path.parent.rmdir()
    replace(place)
    assert contents(tmp_path / "build") == NEW


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_old_files(tmp_path: Path, error: type[BaseException]) -> None:
    def fail(file: BinaryIO) -> None:
        file.write(b"new tests")
        raise error

    with pytest.raises(error), replacing(destination(tmp_path)) as new:
        fail(new.tests)
    assert contents(tmp_path) == OLD


@pytest.mark.parametrize(("tests_were_there", "links"), [(True, True), (True, False), (False, True)])
def test_where_the_second_file_cannot_be_replaced_the_first_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool, tests_were_there: bool
) -> None:
    place = destination(tmp_path)
    place.path.unlink()
    place.path.mkdir()  # a test has put a directory there
    if not tests_were_there:
        place.tests.unlink()
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(TraceError, match=re.escape(f"cannot write {place.path}: Is a directory (EISDIR): ")):
        replace(place)
    assert contents(tmp_path) == ({"out.tests.ndjson": "old tests"} if tests_were_there else {})


@pytest.mark.parametrize("were_there", [True, False])
def test_without_hard_links_both_files_are_replaced_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, were_there: bool
) -> None:
    monkeypatch.setattr(os, "link", no_links)
    place = destination(tmp_path)
    if not were_there:
        place.path.unlink()
        place.tests.unlink()
    replace(place)
    assert contents(tmp_path) == NEW


def test_what_a_killed_run_left_is_removed_by_the_next_one_for_the_same_path(tmp_path: Path) -> None:
    code = """if True:
        import os, signal, sys
        from pathlib import Path
        from pytest_seccomp.trace.destination import Destination
        from pytest_seccomp.trace.replacement import replacing
        with replacing(Destination.check(Path(sys.argv[1]))) as new:
            os.kill(os.getpid(), signal.SIGKILL)
    """
    for name in ("out.ndjson", "other.ndjson"):
        subprocess.run([sys.executable, "-c", code, tmp_path / name], check=False)
    assert len(list(tmp_path.iterdir())) == 4
    replace(Destination.check(tmp_path / "out.ndjson"))
    assert len(list(tmp_path.iterdir())) == 4  # the other's two, and the trace
    replace(Destination.check(tmp_path / "other.ndjson"))
    assert {path.name for path in tmp_path.iterdir()} == {
        *NEW,
        "other.ndjson",
        "other.tests.ndjson",
    }


def test_new_files_have_the_mode_that_open_gives(tmp_path: Path) -> None:
    place = Destination.check(tmp_path / "out.ndjson")
    code = "import os, sys; os.umask(0o027); exec(sys.stdin.read())"
    script = (
        "from pathlib import Path\n"
        "from pytest_seccomp.trace.destination import Destination\n"
        "from pytest_seccomp.trace.replacement import replacing\n"
        f"with replacing(Destination.check(Path({str(place.path)!r}))): pass\n"
    )
    subprocess.run([sys.executable, "-c", code], input=script, text=True, check=True)
    assert [path.stat().st_mode & 0o7777 for path in (place.path, place.tests)] == [0o640, 0o640]


def test_existing_files_keep_their_mode(tmp_path: Path) -> None:
    place = destination(tmp_path)
    place.path.chmod(0o604)
    place.tests.chmod(0o660)
    replace(place)
    assert [path.stat().st_mode & 0o7777 for path in (place.path, place.tests)] == [0o604, 0o660]


@pytest.mark.needs("root")
def test_existing_files_keep_their_owner(tmp_path: Path) -> None:
    place = destination(tmp_path)
    for path in (place.path, place.tests):
        os.chown(path, 1234, 5678)
    replace(place)
    owners = [(path.stat().st_uid, path.stat().st_gid) for path in (place.path, place.tests)]
    assert owners == [(1234, 5678)] * 2


def test_a_limit_on_the_size_of_files_leaves_the_old_files(tmp_path: Path) -> None:
    """Any user can set one; the error is another one than that of a full disk, the way is the same."""
    place = destination(tmp_path)
    write_trace(place.path)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    code = WRITE_A_MEGABYTE.format(limit=limit)
    result = subprocess.run([sys.executable, "-c", code, place.path], capture_output=True, text=True, check=True)
    assert result.stdout == (
        f"cannot write {place.path}: File too large (EFBIG): make room or name another place; "
        "what was there is unchanged\n"
    )
    assert contents(tmp_path) == TRACE


@pytest.mark.needs("mount")
def test_a_full_disk_leaves_the_old_files(tmp_path: Path) -> None:
    """In a mount namespace of its own, with a file system of 512 KiB."""
    place = Destination.check(tmp_path / "out.ndjson")
    script = f"""
        mount -t tmpfs -o size=512k tmpfs {tmp_path} || exit 1
        cd {tmp_path}
        printf %s "$RECORDS" > out.ndjson
        {sys.executable} -c "$CODE" out.ndjson
        ls -A; cat out.ndjson
    """
    variables = {**os.environ, "CODE": WRITE_A_MEGABYTE.format(limit=""), "RECORDS": TRACE["out.ndjson"]}
    command = ["unshare", "--mount", "sh", "-c", script]
    result = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    assert result.stdout == (
        f"cannot write {place.path}: No space left on device (ENOSPC): make room or name another place; "
        f"what was there is unchanged\nout.ndjson\n{TRACE['out.ndjson']}"
    )


TRACE = {
    "out.ndjson": '{"syscall": 0, "name": "read", "count": 9, "arch": "x86_64", "tests": 2, "collection": 4}\n',
}


def write_trace(path: Path) -> None:
    """A trace without its tests file, in the place of what was there."""
    for old in path.parent.iterdir():
        old.unlink()
    path.write_text(TRACE["out.ndjson"])
