"""Places for a trace: which are refused before the run, in one line that says what to do."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from traces import run

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.destination import Destination
from pytest_seccomp.trace.place import Identity, Place

RECORD = '{"syscall": 0, "name": "read", "count": 9, "arch": "x86_64", "tests": 2, "collection": 4}\n'


def refusal(path: Path, append: bool = False) -> str:
    """Why a place is refused."""
    with pytest.raises(TraceError) as caught:
        Destination.check(path, append=append)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"cannot write a trace to {path}: ")
    return text.removeprefix(f"cannot write a trace to {path}: ")


@pytest.mark.parametrize(
    ("name", "tests"),
    [
        ("out.ndjson", "out.tests.ndjson"),
        ("out", "out.tests"),
        ("out.tar.gz", "out.tar.tests.gz"),
        (".hidden", ".hidden.tests"),
        ("a b.json", "a b.tests.json"),
    ],
)
def test_the_tests_file_has_tests_before_the_suffix(tmp_path: Path, name: str, tests: str) -> None:
    place = Destination.check(tmp_path / name)
    assert (place.path, place.tests) == (tmp_path / name, tmp_path / tests)
    assert place.lock == tmp_path / f"{name}.lock"
    assert place.seen is None


def test_checking_leaves_nothing_behind_but_directories(tmp_path: Path) -> None:
    Destination.check(tmp_path / "a/b/out.ndjson")
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b"]


def test_a_relative_path_means_what_it_meant_when_it_was_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    place = Destination.check(Path("out.ndjson"))
    monkeypatch.chdir("elsewhere")
    assert place.path == tmp_path / "out.ndjson"


def test_a_working_directory_that_has_gone_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert refusal(Path("out")) == "No such file or directory (ENOENT): name a place that you can write to"


@pytest.mark.parametrize("path", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_a_stream_is_refused(path: str) -> None:
    assert refusal(Path(path)) == "a trace is replaced as a whole and cannot go to a stream or into /proc: name a file"


def test_devices_are_refused_and_stay() -> None:
    assert refusal(Path("/dev/null")) == "it is a device: name a file"
    assert Path("/dev/null").is_char_device()


def test_a_new_file_among_the_devices_is_refused_but_not_in_shared_memory() -> None:
    """It would be made by a mistyped /dev/null, as root."""
    for name in ("/dev/nul", "/dev/new/out.ndjson"):
        assert refusal(Path(name)) == "a file there is gone when the machine stops: name one elsewhere"
        assert not Path(name).exists()
    assert not Path("/dev/new").exists()
    assert Destination.check(Path("/dev/shm/pytest-seccomp-none.ndjson")).seen is None


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "it is a directory: name a file"


def test_a_pipe_and_a_socket_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == "it is a named pipe: name a file"
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        assert refusal(tmp_path / "socket") == "it is a socket: name a file"


@pytest.mark.parametrize("beside", ["out.tests.ndjson", "out.ndjson.lock"])
def test_what_cannot_be_replaced_beside_it_is_refused(tmp_path: Path, beside: str) -> None:
    (tmp_path / beside).mkdir()
    with pytest.raises(TraceError, match=f"{beside}: it is a directory: name a file"):
        Destination.check(tmp_path / "out.ndjson")


@pytest.mark.parametrize("name", ["out.tests.ndjson", "out.tests"])
def test_the_name_of_a_tests_file_is_refused(tmp_path: Path, name: str) -> None:
    assert refusal(tmp_path / name) == "that is how the file with the tests of a trace is named: leave out .tests"


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/trace.ndjson").write_text(RECORD)
    (tmp_path / "link.ndjson").symlink_to("real/trace.ndjson")
    place = Destination.check(tmp_path / "link.ndjson")
    assert place.path == tmp_path / "real/trace.ndjson"
    assert place.tests == tmp_path / "real/trace.tests.ndjson"
    assert place.lock == tmp_path / "real/trace.ndjson.lock"
    assert place.seen == Identity.of(tmp_path / "real/trace.ndjson")


def test_a_symbolic_link_to_what_is_not_there_yet_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link.ndjson").symlink_to("later/trace.ndjson")
    assert Destination.check(tmp_path / "link.ndjson").path == tmp_path / "later/trace.ndjson"


def test_a_symbolic_link_to_a_device_or_in_a_circle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    assert refusal(tmp_path / "null") == "it is a device: name a file"
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    assert refusal(tmp_path / "one") == "it is a symbolic link that leads nowhere: name a file"


@pytest.mark.parametrize("append", [False, True])
def test_a_file_with_something_else_is_refused_and_stays(tmp_path: Path, append: bool) -> None:
    """`pytest --seccomp-trace tests/test_io.py`: the option takes the user's tests for its value."""
    path = tmp_path / "test_io.py"
    path.write_text("def test_copy():\n    pass\n")
    assert refusal(path, append) == "there is a file that is no trace: name another file"
    assert path.read_text() == "def test_copy():\n    pass\n"


@pytest.mark.parametrize("append", [False, True])
@pytest.mark.parametrize("text", ["", RECORD])
def test_a_trace_or_an_empty_file_may_be_replaced(tmp_path: Path, text: str, append: bool) -> None:
    path = tmp_path / "out.ndjson"
    path.write_text(text)
    assert Destination.check(path, append=append).seen == Identity.of(path)


def test_a_damaged_trace_can_be_replaced_but_not_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    path.write_text(RECORD + RECORD[:20])
    Destination.check(path)
    with pytest.raises(TraceError, match=r"cannot add to the trace .*out.ndjson: .*out.ndjson:2: no JSON"):
        Destination.check(path, append=True)


def test_a_damaged_tests_file_is_not_appended_to(tmp_path: Path) -> None:
    """Noticed before the run, to its last line, and where it does not agree with PATH."""
    path, tests = tmp_path / "out.ndjson", tmp_path / "out.tests.ndjson"
    path.write_text(RECORD)
    for lines in (run().format() + "{", run().format()):
        tests.write_text(lines)
        Destination.check(path)
        with pytest.raises(TraceError, match=r"cannot add to the trace .*: (.*tests.ndjson:2: no|.* do not agree)"):
            Destination.check(path, append=True)


@pytest.mark.parametrize("append", [False, True])
def test_a_tests_file_with_something_else_is_refused_and_stays(tmp_path: Path, append: bool) -> None:
    mine = tmp_path / "out.tests.ndjson"
    mine.write_text("mine\n")
    with pytest.raises(TraceError, match=r"to .*/out.tests.ndjson: there is a file that is no trace: name another"):
        Destination.check(tmp_path / "out.ndjson", append=append)
    mine.write_text(RECORD)
    with pytest.raises(TraceError, match=r"to .*/out.tests.ndjson: there is the other one of the two files"):
        Destination.check(tmp_path / "out.ndjson", append=append)
    mine.write_text(run().format())
    Destination.check(tmp_path / "out.ndjson", append=append)


def test_a_tests_file_in_the_place_of_a_trace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out.ndjson").write_text(run().format())
    assert refusal(tmp_path / "out.ndjson").startswith("there is the other one of the two files of a trace: ")


def test_a_place_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert refusal(tmp_path / "file/out.ndjson") == "Not a directory (ENOTDIR): name a place that you can write to"


def test_a_name_too_long_for_what_belongs_beside_it_is_refused(tmp_path: Path) -> None:
    name = "n" * (os.pathconf(tmp_path, "PC_NAME_MAX") - len(".lock") + 1)
    assert refusal(tmp_path / name) == "File name too long (ENAMETOOLONG): name a place that you can write to"


@pytest.mark.needs("unprivileged")
def test_a_place_without_the_right_to_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o555)
    assert refusal(tmp_path / "closed/out.ndjson") == "Permission denied (EACCES): name a place that you can write to"
    (tmp_path / "out.ndjson").touch(mode=0o444)
    assert refusal(tmp_path / "out.ndjson") == "no right to write to it: name another file"


@pytest.mark.needs("sysfs")
def test_a_file_system_that_takes_no_files_is_refused() -> None:
    assert refusal(Path("/sys/out.ndjson")).endswith(": name a place that you can write to")


@pytest.mark.needs("mount")
@pytest.mark.parametrize("name", ["out.ndjson", "with space.ndjson"])
def test_a_single_file_that_is_mounted_is_refused(tmp_path: Path, name: str) -> None:
    """As containers have it: the name cannot be given to another file."""
    path = tmp_path / name
    path.touch()
    (tmp_path / "other").touch()
    code = (
        "import sys; from pathlib import Path; from pytest_seccomp.trace.destination import Destination; "
        "Destination.check(Path(sys.argv[1]))"
    )
    script = 'mount --bind other "$1" && exec "$2" -c "$3" "$1"'
    result = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", path, sys.executable, code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"cannot write a trace to {path}: it is a mount point and cannot be replaced: mount its" in result.stderr


def test_an_identity_changes_with_each_replacement_and_each_write(tmp_path: Path) -> None:
    path, other = tmp_path / "out", tmp_path / "other"
    assert Identity.of(path) is None
    path.write_text("one")
    first = Identity.of(path)
    other.write_text("one")
    os.replace(other, path)
    second = Identity.of(path)
    path.write_text("three")
    assert len({first, second, Identity.of(path)}) == 3


def test_a_lock_that_its_holder_removes_while_it_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is in the way, as if it had been looked at a moment later."""
    lock = tmp_path / "out.ndjson.lock"
    lock.touch()
    access = os.access

    def removed_before(path: Path, mode: int, **options: bool) -> bool:
        lock.unlink(missing_ok=True)
        return access(path, mode, **options)

    monkeypatch.setattr(os, "access", removed_before)
    assert Place(lock, "a trace").check_regular(lock) is False
