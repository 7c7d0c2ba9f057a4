"""No room for what is recorded: a full disk for PATH and for TMPDIR, and files that may not be that long."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mounts import mounted
from running import Run, traced, until
from traced import Suite, Trace

pytestmark = pytest.mark.needs("listener")


def limited(size: int) -> list[str]:
    """A command before a run: no file of its processes becomes longer than `size` bytes."""
    return ["prlimit", f"--fsize={size}"]


MANY = """
    import os, pytest

    @pytest.mark.parametrize("number", range(300))
    def test_many(number):
        for _ in range(number):
            os.getppid()
"""


def test_no_file_may_be_that_long(suite: Suite) -> None:
    """RLIMIT_FSIZE, which holds for the recorder too: an error, the old trace, and no torn line in what is kept."""
    suite.write("test_many.py", MANY)
    paths = [suite.folder / name for name in ("out.ndjson", "out.tests.ndjson")]
    with traced(suite, "-k", "[7]") as run:
        run.finish(0)
    old = [path.read_bytes() for path in paths]
    with traced(suite, before=limited(20_000)) as run:
        finished = run.finish(pytest.ExitCode.INTERNAL_ERROR)
        (kept,) = run.spool_directories()
    assert "300 passed" in finished.stdout
    assert "NOT WRITTEN" in finished.stdout
    assert "File too large" in finished.stdout
    assert [path.read_bytes() for path in paths] == old
    assert sorted(suite.folder.glob("*out*")) == paths
    (spool,) = kept.glob("*.ndjson")
    assert spool.stat().st_size <= 20_000
    assert [json.loads(line)["kind"] for line in spool.read_text().splitlines()].count("test") > 50
    assert spool.read_bytes().endswith(b"}\n")


@pytest.mark.needs("root", "mount")
@pytest.mark.parametrize("size", ["4k", "8k", "12k", "32k"])
def test_a_full_disk_for_the_spool(suite: Suite, tmp_path: Path, size: str) -> None:
    """A TMPDIR in which there is no room. Where not even a directory can be made, the run does not begin."""
    suite.write("test_many.py", MANY)
    small = tmp_path / "small"
    small.mkdir()
    with traced(suite, before=mounted(small, f"size={size}"), temporary=small) as run:
        finished = run.finish()
        run.expect_nothing_left()
    if finished.status == pytest.ExitCode.USAGE_ERROR:
        assert "No space left on device" in finished.stderr
        assert "TMPDIR" in finished.stderr
        assert not (suite.folder / "out.ndjson").exists()
        return
    finished.expect(0)
    assert "300 passed" in finished.stdout
    assert "INCOMPLETE" in finished.stdout
    assert "No space left on device" in finished.stdout
    trace = finished.trace()
    assert not trace.complete
    assert trace.run["lost"] is None
    for line in trace.tests:  # what was recorded is right
        number = int(line.nodeid.partition("[")[2].rstrip("]"))
        assert line.own == ({"call": {"getppid": number}} if number else {})


@pytest.mark.needs("root", "mount")
@pytest.mark.parametrize("size", ["8k", "16k"])
def test_a_full_disk_for_the_spools_of_workers(suite: Suite, tmp_path: Path, size: str) -> None:
    """Also where it has no room for a single line of a test, and for none that would say so."""
    suite.write("test_many.py", MANY)
    small = tmp_path / "small"
    small.mkdir()
    base = f"--basetemp={tmp_path / 'base'}"
    with traced(suite, "-n2", base, plugins=["xdist"], before=mounted(small, f"size={size}"), temporary=small) as run:
        finished = run.finish(0)
        run.expect_nothing_left()
    assert "300 passed" in finished.stdout
    assert "INCOMPLETE" in finished.stdout
    trace = finished.trace()
    assert not trace.complete
    assert {"worker gw0", "worker gw1"} == {
        reason.partition(":")[0] for reason in trace.run["reasons"] if reason.endswith("No space left on device")
    }


@pytest.mark.needs("root", "mount")
def test_a_full_disk_for_the_path_of_a_killed_pytest(suite: Suite, tmp_path: Path) -> None:
    """What was recorded is kept, with a word of what to do; and that is what makes a trace of it."""
    suite.write("test_many.py", MANY)
    suite.write("test_then.py", "import os\ndef test_kills():\n    os.kill(os.getpid(), 9)\n")
    small, large = tmp_path / "small", tmp_path / "large.ndjson"
    small.mkdir()
    path = small / "out.ndjson"
    with Run(suite, f"--seccomp-trace={path}", before=mounted(small, "size=16k")) as run:
        run.finish(-signal.SIGKILL)
        until("the end of every process", lambda: not run.processes())
        (kept,) = run.spool_directories()
        why, what_to_do = (kept / "not-merged.txt").read_text().splitlines()
    assert "No space left on device" in why
    command = what_to_do.removeprefix("What was recorded is kept: ")
    assert command == f"pytest-seccomp merge {kept} -o {path}"
    _, *arguments = command.replace(str(path), str(large)).split()
    subprocess.run([sys.executable, "-m", "pytest_seccomp", *arguments], check=True, stdout=subprocess.DEVNULL)
    trace = Trace.read(large)
    assert not trace.complete
    assert "test_then.py::test_kills did not finish" in trace.run["reasons"]
    assert len(trace.tests) == 301


@pytest.mark.needs("root", "mount")
@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["alone", "xdist"])
def test_a_full_disk_for_path(suite: Suite, tmp_path: Path, options: tuple[str, ...]) -> None:
    """Neither a whole nor half a trace; the spools are kept, and the message says where."""
    suite.write("test_many.py", MANY)
    small = tmp_path / "small"
    small.mkdir()
    path = small / "out.ndjson"
    with Run(suite, f"--seccomp-trace={path}", *options, before=mounted(small, "size=16k"), plugins=["xdist"]) as run:
        finished = run.finish(pytest.ExitCode.INTERNAL_ERROR)
        assert "300 passed" in finished.stdout
        assert "NOT WRITTEN" in finished.stdout
        assert "No space left on device" in finished.stdout
        (kept,) = run.spool_directories()
        assert f"  pytest-seccomp merge {kept} -o {path}\n" in finished.stdout
        lines = [json.loads(line) for spool in kept.glob("*.ndjson") for line in spool.read_text().splitlines()]
        assert len([line for line in lines if line["kind"] == "test"]) == 300
