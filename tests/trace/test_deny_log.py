"""The deny log as a file: where it may be, and how it is replaced."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from denials import denial

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace.denials import Spooled
from pytest_seccomp.trace.deny_log import DenyLog, Incomplete, read


def left_in(folder: Path) -> list[str]:
    """The names of the files in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_a_line_for_each_denial(tmp_path: Path) -> None:
    path = tmp_path / "a/b/denied.ndjson"
    assert DenyLog.check(path).write(Spooled([denial(), denial(pid=1)])) is False
    first, second = map(json.loads, path.read_text().splitlines())
    assert first == {**denial().members, "lines": 1}
    assert second == denial(pid=1).members
    assert list(read(path)) == [denial(), denial(pid=1)]
    assert left_in(path.parent) == ["denied.ndjson"]


def test_without_a_denial_it_is_empty(tmp_path: Path) -> None:
    DenyLog.check(tmp_path / "denied").write(Spooled())
    assert (tmp_path / "denied").read_bytes() == b""


def test_where_denials_may_be_missing_its_first_line_says_so(tmp_path: Path) -> None:
    path = tmp_path / "denied.ndjson"
    DenyLog.check(path).write(Spooled([denial()], ["lost 5"]))
    first, second = path.read_text().splitlines()
    assert json.loads(first) == {"complete": False, "reasons": ["lost 5"], "lines": 1}
    assert second + "\n" == denial().format()
    assert next(read(path)) == Incomplete(("lost 5",))


@pytest.mark.parametrize("reasons", [[], ["lost 5"]])
def test_one_that_was_cut_between_two_lines_is_refused(tmp_path: Path, reasons: list[str]) -> None:
    path = tmp_path / "denied.ndjson"
    DenyLog.check(path).write(Spooled([denial(), denial(pid=1), denial(pid=2)], reasons))
    whole = path.read_text()
    lines = whole.splitlines(keepends=True)
    for kept in range(1, len(lines)):
        path.write_text("".join(lines[:kept]))
        with pytest.raises(TraceError, match=f"denied.ndjson is not whole, it has {kept} lines of {len(lines)}: "):
            list(read(path))
        DenyLog.check(path)  # it may be replaced
    path.write_text(whole + whole)
    assert len(list(read(path))) == 2 * len(lines)
    path.write_text(whole + lines[0])
    with pytest.raises(TraceError, match="is not whole"):
        list(read(path))


def test_one_of_an_older_version_does_not_say_how_long_it_is(tmp_path: Path) -> None:
    path = tmp_path / "denied.ndjson"
    path.write_text(denial().format() + denial(pid=1).format())
    assert list(read(path)) == [denial(), denial(pid=1)]


def test_it_replaces_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "denied.ndjson"
    DenyLog.check(path).write(Spooled([denial()], ["lost 5"]))
    assert DenyLog.check(path).write(Spooled([denial(pid=1)])) is False
    assert list(read(path)) == [denial(pid=1)]


def test_it_says_that_it_replaces_another_runs(tmp_path: Path) -> None:
    path = tmp_path / "denied.ndjson"
    mine, others = DenyLog.check(path), DenyLog.check(path)
    assert others.write(Spooled([denial()])) is False
    assert mine.write(Spooled()) is True
    assert path.read_bytes() == b""


def test_a_link_is_followed_and_the_working_directory_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    log = DenyLog.check(Path("link"))
    monkeypatch.chdir("/")
    log.write(Spooled([denial()]))
    assert (tmp_path / "link").is_symlink()
    assert list(read(tmp_path / "real")) == [denial()]


@pytest.mark.parametrize("content", ["", denial().format(), Incomplete(("lost 5",)).format() + denial().format()])
def test_a_deny_log_may_be_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "denied.ndjson"
    path.write_text(content)
    DenyLog.check(path)


@pytest.mark.parametrize(
    "content",
    [
        "def test(): pass\n",
        '{"syscall": 0, "name": "read", "count": 118, "arch": "x86_64", "tests": 12, "collection": 64}\n',
        '{"complete": true, "reasons": []}\n',
        "[]\n",
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other"
    path.write_text(content)
    with pytest.raises(
        TraceError, match=r"cannot write a deny log to .*other: there is a file that is no deny log: name"
    ):
        DenyLog.check(path)
    assert path.read_text() == content


@pytest.mark.parametrize("name", ["-", "/dev/null", "/dev/stdout", "/proc/self/denied", "/dev/denied", "."])
def test_what_is_no_file_is_refused(name: str) -> None:
    with pytest.raises(TraceError, match="cannot write a deny log to "):
        DenyLog.check(Path(name))


def test_a_lock_that_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "denied.lock").mkdir()
    with pytest.raises(TraceError, match=r"denied.lock: it is a directory"):
        DenyLog.check(tmp_path / "denied")


def test_the_old_one_stays_whole_where_the_new_one_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "denied.ndjson"
    log = DenyLog.check(path)
    log.write(Spooled([denial()]))
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from pytest_seccomp.trace.deny_log import DenyLog; from pytest_seccomp.trace.denials import Spooled\n"
        "from pytest_seccomp.errors import TraceError\n"
        "log = DenyLog.check(Path(sys.argv[1]))\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: log.write(Spooled([], ['x' * 10000]))\n"
        "except TraceError as error: print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True, cwd="/")
    assert "File too large (EFBIG): make room or name another place; what was there is unchanged" in result.stdout
    assert list(read(path)) == [denial()]
    assert left_in(tmp_path) == ["denied.ndjson"]


@pytest.mark.needs("unprivileged")
def test_a_place_without_the_right_to_write_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir(mode=0o555)
    with pytest.raises(TraceError, match=r"Permission denied \(EACCES\)"):
        DenyLog.check(place / "denied.ndjson")


def test_runs_at_the_same_time_leave_one_whole_log(tmp_path: Path) -> None:
    path = tmp_path / "denied.ndjson"
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[3])\n"
        "from denials import denial\n"
        "from pytest_seccomp.trace.deny_log import DenyLog; from pytest_seccomp.trace.denials import Spooled\n"
        "for _ in range(20): DenyLog.check(Path(sys.argv[1])).write(Spooled([denial(pid=int(sys.argv[2]))] * 100))\n"
    )
    support = os.fspath(Path(__file__).parents[1] / "support")
    runs = [subprocess.Popen([sys.executable, "-c", code, path, str(pid), support], cwd="/") for pid in (1, 2)]
    assert [run.wait(300) for run in runs] == [0, 0]
    found = list(read(path))
    assert found in ([denial(pid=1)] * 100, [denial(pid=2)] * 100)
    assert left_in(tmp_path) == ["denied.ndjson"]
