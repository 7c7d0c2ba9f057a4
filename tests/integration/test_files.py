"""The places for a trace: what is refused before the run, and what becomes of them while the tests run."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from mechanisms import missing
from mounts import mounted
from running import Run, traced
from traced import Suite, Trace

pytestmark = pytest.mark.needs("listener")


@pytest.fixture
def noting(suite: Suite) -> Suite:
    """A suite whose conftest and test say that they have run; the test makes 100 calls."""
    suite.write("conftest.py", "import pathlib\npathlib.Path('imported').touch()\n")
    suite.write(
        "test_one.py",
        """
        import os, pathlib

        def test_one():
            pathlib.Path("ran").touch()
            for _ in range(100):
                os.getppid()
        """,
    )
    return suite


def expect_refused(suite: Suite, *options: str, text: str) -> None:
    """Exit status 4 before anything of the user's was run, one line that says why, and nothing is left."""
    before = {path: path.lstat().st_ino for path in suite.folder.iterdir()}
    with Run(suite, *options) as run:
        finished = run.finish(pytest.ExitCode.USAGE_ERROR)
        run.expect_nothing_left()
    (line,) = [line for line in finished.stderr.splitlines() if line and text in line]
    assert line.startswith("ERROR: pytest-seccomp: ")
    assert "Traceback" not in finished.stderr
    assert finished.stdout == ""
    assert {path: path.lstat().st_ino for path in suite.folder.iterdir()} == before


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        folder = os.open(path.parent, os.O_PATH)
        server.bind(f"/proc/self/fd/{folder}/{path.name}")  # sun_path holds 107 bytes
        os.close(folder)


def somebodys_file(path: Path) -> None:
    path.write_text("def test_precious(): pass\n")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("-", "cannot go to a stream or into /proc"),
        (".", "it is a directory"),
        ("/dev/null", "it is a device"),
        ("/dev/stdout", "cannot go to a stream or into /proc"),
        ("/dev/fd/1", "cannot go to a stream or into /proc"),
        ("/proc/self/trace", "cannot go to a stream or into /proc"),
        ("/sys/trace.ndjson", "cannot write a trace to /sys/trace.ndjson"),
        ("pytest.ini/out.ndjson", "Not a directory"),
        ("out.tests.ndjson", "that is how the file with the tests of a trace is named"),
        ("somebodys.txt", "there is a file that is no trace"),
        ("test_one.py", "--seccomp-trace takes 'test_one.py' for its PATH: write --seccomp-trace=PATH before it"),
        ("test_two.py", "--seccomp-trace takes 'test_two.py' for its PATH"),
        ("test_one.py::test_one", "--seccomp-trace takes 'test_one.py::test_one' for its PATH"),
        ("", "--seccomp-trace is empty: name a file, such as --seccomp-trace=out.ndjson"),
    ],
)
def test_a_path_that_can_take_no_trace(noting: Suite, path: str, text: str) -> None:
    somebodys_file(noting.folder / "somebodys.txt")
    expect_refused(noting, f"--seccomp-trace={path}", text=text)


@pytest.mark.parametrize(
    ("make", "name", "text"),
    [
        (a_fifo, "out.ndjson", "it is a named pipe"),
        (a_fifo, "out.tests.ndjson", "it is a named pipe"),
        (a_socket, "out.ndjson", "it is a socket"),
        (a_socket, "out.tests.ndjson", "it is a socket"),
        (somebodys_file, "out.ndjson", "there is a file that is no trace"),
    ],
)
def test_something_else_is_there(noting: Suite, make: Callable[[Path], None], name: str, text: str) -> None:
    """Also in the place of the tests file."""
    make(noting.folder / name)
    expect_refused(noting, "--seccomp-trace=out.ndjson", text=text)


def test_through_xdist_too(noting: Suite) -> None:
    with Run(noting, "-n2", "--seccomp-trace=-", plugins=["xdist"]) as run:
        finished = run.finish(pytest.ExitCode.USAGE_ERROR)
        run.expect_nothing_left()
    assert "cannot go to a stream or into /proc" in finished.stderr
    assert not (noting.folder / "imported").exists()


@pytest.mark.parametrize("test", ["test_one.py", "test_one.py::test_one", "../suite"])
def test_an_option_without_its_value_takes_the_tests_for_it(noting: Suite, test: str) -> None:
    expect_refused(noting, "--seccomp-trace", test, text="")


def test_append_without_a_path(noting: Suite) -> None:
    expect_refused(noting, "--seccomp-trace-append", text="--seccomp-trace-append needs --seccomp-trace=PATH")


def test_append_to_what_is_no_trace(noting: Suite) -> None:
    (noting.folder / "out.ndjson").write_text('{"syscall": 0, "name": "read", "cou')
    expect_refused(
        noting, "--seccomp-trace=out.ndjson", "--seccomp-trace-append", text="there is a file that is no trace"
    )


def test_a_backend_in_the_ini_file_that_there_is_not(noting: Suite) -> None:
    noting.backend = None
    noting.write("pytest.ini", "[pytest]\nseccomp_backend = strace\n")
    expect_refused(
        noting, "--seccomp-trace=out.ndjson", text="seccomp_backend: 'strace' is no backend: use one of auto, "
    )


def test_a_backend_on_the_command_line_that_there_is_not(noting: Suite) -> None:
    with Run(noting, "--seccomp-trace=out.ndjson", "--seccomp-backend=strace") as run:
        finished = run.finish(pytest.ExitCode.USAGE_ERROR)
        run.expect_nothing_left()
    assert "invalid choice: 'strace'" in finished.stderr
    assert not (noting.folder / "imported").exists()


@pytest.mark.parametrize(
    ("ini", "options"),
    [
        ("", ["--seccomp-backend=notify"]),
        ("", ["--seccomp-backend=auto"]),
        ("seccomp_backend = notify\n", []),
        ("seccomp_backend = auto\n", []),
        ("seccomp_backend = strace\n", ["--seccomp-backend=notify"]),
    ],
)
def test_choosing_a_backend(noting: Suite, ini: str, options: list[str]) -> None:
    """The command line comes before the ini file."""
    noting.backend = None
    noting.write("pytest.ini", f"[pytest]\n{ini}")
    with traced(noting, *options) as run:
        trace = run.trace(status=0)
        run.expect_nothing_left()
    assert trace.complete
    auto = "auto" in (ini + "".join(options)) and missing("bpf") is None
    assert trace.run["backend"] == ("ebpf" if auto else "notify")


@pytest.mark.parametrize("backend", ["notify", "auto"])
def test_a_backend_without_anything_to_trace(noting: Suite, backend: str) -> None:
    expect_refused(
        noting,
        f"--seccomp-backend={backend}",
        text="--seccomp-backend needs --seccomp-trace=PATH or --seccomp-profile=FILE: for all runs, set the ini option",
    )


@pytest.mark.needs("root", "mount")
def test_a_place_that_is_read_only(noting: Suite, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    with Run(noting, f"--seccomp-trace={place}/out.ndjson", before=mounted(place, "ro")) as run:
        finished = run.finish(pytest.ExitCode.USAGE_ERROR)
        run.expect_nothing_left()
    assert "Read-only file system" in finished.stderr
    assert not (noting.folder / "imported").exists()


@pytest.mark.needs("root", "mount")
@pytest.mark.parametrize("option", ["--seccomp-trace=out.ndjson", "--seccomp-deny-log=out.ndjson"])
def test_no_proc(noting: Suite, option: str) -> None:
    with Run(noting, option, before=mounted(Path("/proc"), "ro")) as run:
        finished = run.finish(pytest.ExitCode.USAGE_ERROR)
        run.expect_nothing_left()
    assert finished.stderr == "ERROR: pytest-seccomp: no /proc is mounted here: mount it\n\n"
    assert not (noting.folder / "imported").exists()


@pytest.mark.needs("unprivileged")
def test_a_folder_without_the_right_to_write(noting: Suite) -> None:
    place = noting.folder / "place"
    place.mkdir(mode=0o555)
    expect_refused(noting, "--seccomp-trace=place/out.ndjson", text="Permission denied")


@pytest.mark.parametrize("terminal", [(), ("-p", "no:terminal"), ("-q",)], ids=["summary", "no-terminal", "quiet"])
def test_a_place_that_is_taken_while_the_tests_run(suite: Suite, terminal: tuple[str, ...]) -> None:
    """The message is there whatever prints it, and so is what was recorded."""
    suite.write(
        "test_takes.py",
        """
        import os, pathlib

        def test_takes():
            os.rmdir("place")
            pathlib.Path("place").write_text("taken")
        """,
    )
    with Run(suite, "--seccomp-trace=place/out.ndjson", *terminal) as run:
        finished = run.finish(pytest.ExitCode.INTERNAL_ERROR)
        (kept,) = run.spool_directories()
    stream = finished.stderr if "no:terminal" in terminal else finished.stdout
    assert "What was recorded is kept. This makes a trace of it:\n" in stream
    assert f"  pytest-seccomp merge {kept} -o {suite.folder}/place/out.ndjson\n" in stream
    assert "cannot " in stream
    assert (suite.folder / "place").read_text() == "taken"


def test_a_folder_that_is_removed_while_the_tests_run(suite: Suite) -> None:
    suite.write("test_removes.py", "import os\ndef test_removes():\n    os.rmdir('new/place')\n    os.rmdir('new')\n")
    with Run(suite, "--seccomp-trace=new/place/out.ndjson") as run:
        finished = run.finish(0)
        run.expect_nothing_left()
    assert finished.trace("new/place/out.ndjson").complete


def test_a_working_directory_that_changes(suite: Suite, tmp_path: Path) -> None:
    """PATH is what it was when pytest started."""
    suite.write("test_changes.py", f"import os\ndef test_changes():\n    os.chdir({str(tmp_path)!r})\n")
    with traced(suite) as run:
        assert run.trace(status=0).complete
        run.expect_nothing_left()


def test_a_link_stays_a_link(noting: Suite, tmp_path: Path) -> None:
    (noting.folder / "out.ndjson").symlink_to(tmp_path / "real.ndjson")
    with traced(noting) as run:
        run.finish(0)
        run.expect_nothing_left()
    assert (noting.folder / "out.ndjson").is_symlink()
    assert Trace.read(tmp_path / "real.ndjson").test("test_one").phase("call")["getppid"] == 100
