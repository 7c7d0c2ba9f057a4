"""Tracing needs no privilege: uid 1000, no capability, no_new_privs."""

import os
import shutil
from pathlib import Path

import pytest
from ordinary import UID, as_ordinary_user
from running import Run, traced
from traced import Suite, without_futex

pytestmark = pytest.mark.needs("listener", *(["mount"] if os.geteuid() == 0 else []))

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "shelf"


@pytest.fixture
def owned(suite: Suite, tmp_path: Path) -> Suite:
    """A suite that belongs to the ordinary user: the example's, and one that makes known calls."""
    shutil.copytree(EXAMPLE, suite.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    suite.write(
        "tests/test_counts.py",
        """
        import os, subprocess, threading

        def calls(number):
            for _ in range(number):
                os.getppid()

        def test_empty():
            pass

        def test_loop():
            calls(1000)

        def test_threads():
            threads = [threading.Thread(target=calls, args=(250,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        def test_children():
            for _ in range(2):
                if os.fork() == 0:
                    calls(300)
                    os._exit(0)
                os.wait()

        def test_who():
            assert os.getuid() == int(os.environ["EXPECTED_UID"])
            with open("/proc/self/status") as file:
                status = dict(line.strip().split(":", 1) for line in file)
            assert int(status["CapEff"], 16) == 0
            assert int(status["NoNewPrivs"]) == 1
        """,
    )
    (tmp_path / "tmp").mkdir()
    if os.geteuid() == 0:
        for path in (suite.folder, *suite.folder.rglob("*"), tmp_path / "tmp"):
            os.chown(path, UID, UID)
    return suite


@pytest.mark.parametrize("options", [(), ("-n2", "--dist=loadfile")], ids=["alone", "xdist"])
def test_exact_for_an_ordinary_user(owned: Suite, tmp_path: Path, options: tuple[str, ...]) -> None:
    before = as_ordinary_user(owned.folder, tmp_path / "tmp")
    user = {"EXPECTED_UID": str(UID if os.geteuid() == 0 else os.getuid()), "HOME": str(tmp_path / "tmp")}
    with traced(owned, *options, before=before, environment=user, temporary=tmp_path / "tmp", plugins=["xdist"]) as run:
        finished = run.finish(0)
        run.expect_nothing_left()
    assert "no_new_privs is set" in finished.stdout
    trace = finished.trace()
    assert trace.complete
    assert trace.run["lost"] == 0
    assert set(trace.outcomes.values()) == {"passed"}
    assert without_futex(trace.test("test_empty").own) == {}
    assert without_futex(trace.test("test_loop").own) == {"call": {"getppid": 1000}}
    assert trace.test("test_threads").phase("call")["getppid"] == 1000
    assert trace.test("test_children").phase("call")["getppid"] == 600
    assert os.stat(owned.folder / "out.ndjson").st_uid == int(user["EXPECTED_UID"])


def test_killed(owned: Suite, tmp_path: Path) -> None:
    """What is left of a killed run is merged without privilege, too."""
    hanging = "import pathlib, time\ndef test_z():\n    pathlib.Path('z').touch()\n    time.sleep(999)\n"
    owned.write("tests/test_z.py", hanging)
    before = as_ordinary_user(owned.folder, tmp_path / "tmp")
    with traced(owned, "tests/test_z.py", before=before, temporary=tmp_path / "tmp") as run:
        run.wait_for("z")
        run.kill()
        trace = run.salvaged()
    assert not trace.complete
    assert trace.test("test_z").outcome is None


def test_a_folder_of_somebody_elses(owned: Suite, tmp_path: Path) -> None:
    """Refused before the run."""
    place = tmp_path / "place"
    place.mkdir(mode=0o555)
    before = as_ordinary_user(owned.folder, tmp_path / "tmp", place)
    with Run(owned, f"--seccomp-trace={place}/out.ndjson", before=before, temporary=tmp_path / "tmp") as run:
        finished = run.finish(pytest.ExitCode.USAGE_ERROR)
        run.expect_nothing_left()
    assert "Permission denied (EACCES)" in finished.stderr


@pytest.mark.parametrize(("backend", "capability"), [("audit", "CAP_AUDIT_READ"), ("kmsg", "CAP_SYSLOG")])
def test_the_kernels_log_takes_a_capability(owned: Suite, tmp_path: Path, backend: str, capability: str) -> None:
    """One line names it, and the way out."""
    if backend == "kmsg" and Path("/proc/sys/kernel/dmesg_restrict").read_text().strip() == "0":
        pytest.skip("everybody may read the kernel's log")
    before = as_ordinary_user(owned.folder, tmp_path / "tmp")
    options = ("--seccomp-trace=out.ndjson", f"--seccomp-backend={backend}")
    with Run(owned, *options, before=before, temporary=tmp_path / "tmp") as run:
        finished = run.finish(pytest.ExitCode.USAGE_ERROR)
        run.expect_nothing_left()
    (line,) = [line for line in finished.stderr.splitlines() if line]
    assert line.startswith(f"ERROR: pytest-seccomp: backend {backend}: ")
    assert capability in line or (backend == "kmsg" and "/dev/kmsg" in line)  # some machines have none
    assert line.endswith("the backend notify needs no privilege")
    assert not (owned.folder / "out.ndjson").exists()
