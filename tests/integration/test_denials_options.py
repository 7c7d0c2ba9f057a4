"""Options of the deny log: what is refused before the first test, and what is said where it cannot be had."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from denylog import DENIED, DenyLog, watched
from elsewhere import python_elsewhere
from ordinary import UID, as_ordinary_user
from running import Run
from traced import Suite

audit = pytest.mark.needs("audit")

ways = pytest.mark.parametrize("options", [("-n0",), ("-n2",)], ids=["alone", "xdist"])


@pytest.fixture
def one(suite: Suite) -> Suite:
    """A suite with one test, which must not run."""
    suite.write("test_one.py", "import pathlib\ndef test_one(): pathlib.Path('was run').touch()\n")
    return suite


REFUSED: list[tuple[list[str], str, str]] = [
    (
        ["--seccomp-deny-log="],
        "",
        "--seccomp-deny-log is empty: name a file, such as --seccomp-deny-log=out.ndjson",
    ),
    (["--seccomp-deny-log", "test_one.py"], "", "--seccomp-deny-log takes 'test_one.py' for its PATH"),
    (["--seccomp-deny-log=-"], "", "cannot write a deny log to -: a deny log is replaced as a whole"),
    (["--seccomp-deny-log=."], "", "cannot write a deny log to .: it is a directory: name a file"),
    (["--seccomp-deny-log=pytest.ini"], "", "to pytest.ini: there is a file that is no deny log"),
    (["--seccomp-on-denied=warn"], "", "--seccomp-on-denied needs --seccomp-deny-log=PATH: for all runs, set the"),
    (["--seccomp-deny-source=all"], "", "--seccomp-deny-source needs --seccomp-deny-log=PATH: for all runs, set"),
    (
        ["--seccomp-deny-log=d"],
        "seccomp_deny_source = audit",
        "ini option seccomp_deny_source: 'audit' is unknown: use one of all, kernel, supervised",
    ),
    (
        ["--seccomp-deny-log=d"],
        "seccomp_on_denied = pass",
        "ini option seccomp_on_denied: 'pass' is unknown: use one of fail, warn",
    ),
    (
        ["--seccomp-deny-log=d"],
        "seccomp_expected_denials = socket, bind",
        "ini option seccomp_expected_denials: 'socket,' is more than one name: write them without commas",
    ),
    (
        ["--seccomp-deny-log=./out.ndjson", "--seccomp-trace=out.ndjson"],
        "",
        "--seccomp-deny-log=./out.ndjson is a file of --seccomp-trace=out.ndjson: name another one for either",
    ),
    (
        ["--seccomp-deny-log=out.tests.ndjson", "--seccomp-trace=out.ndjson"],
        "",
        "--seccomp-deny-log=out.tests.ndjson is a file of --seccomp-trace=out.ndjson: name another one for either",
    ),
]


@pytest.mark.parametrize(("arguments", "ini", "text"), REFUSED)
def test_what_cannot_be_meant_is_one_line_before_the_run(one: Suite, arguments: list[str], ini: str, text: str) -> None:
    one.write("pytest.ini", f"[pytest]\n{ini}\n")
    before = sorted(path.name for path in one.folder.iterdir())
    finished = one.run(*arguments, plugins=["xdist"]).expect(4)
    assert finished.stdout == ""
    (line,) = finished.stderr.strip().splitlines()
    assert line.startswith("ERROR: pytest-seccomp: ")
    assert text in line
    assert sorted(path.name for path in one.folder.iterdir()) == before


@audit
def test_the_command_line_is_before_the_ini_file(suite: Suite) -> None:
    suite.write("pytest.ini", "[pytest]\nseccomp_on_denied = warn\nseccomp_deny_source = supervised\n")
    suite.write("test_one.py", DENIED + "def test_one(): denied()\n")
    watched(suite, "--seccomp-on-denied=fail", "--seccomp-deny-source=kernel", status=1)


def test_ini_options_alone_do_nothing(suite: Suite) -> None:
    suite.write(
        "pytest.ini", "[pytest]\nseccomp_on_denied = warn\nseccomp_deny_source = x\nseccomp_expected_denials = y\n"
    )
    suite.write("test_one.py", "import sys\ndef test_one(): assert 'pytest_seccomp.plugin.asked' not in sys.modules\n")
    suite.run("--strict-config").expect(0)


@audit
@ways
def test_it_can_be_switched_off(suite: Suite, options: tuple[str, ...]) -> None:
    suite.write("pytest.ini", "[pytest]\naddopts = --seccomp-deny-log=denied.ndjson\n")
    suite.write("test_one.py", DENIED + "def test_one(): denied()\n")
    suite.run("--no-seccomp-deny-log", *options, plugins=["xdist"]).expect(0)
    assert not (suite.folder / "denied.ndjson").exists()
    suite.run("--no-seccomp-trace", *options, plugins=["xdist"]).expect(1)
    assert len(DenyLog.read(suite.folder / "denied.ndjson").records) == 1


def test_marker_and_fixture_are_shown(suite: Suite) -> None:
    markers = suite.run("--markers").expect(0).stdout
    assert "@pytest.mark.seccomp_expect_denied(*calls, strict=False): " in markers
    assert "@pytest.mark.seccomp(deny=[...], action=..., fixtures=False): " in markers
    fixtures = suite.run("--fixtures").expect(0).stdout
    assert "seccomp_watch [session scope]" in fixtures


@ways
def test_markers_do_nothing_without_it(suite: Suite, options: tuple[str, ...]) -> None:
    suite.write(
        "test_one.py",
        """
        import pytest
        @pytest.mark.seccomp_expect_denied("socket", strict=True)
        def test_strict(): pass
        """,
    )
    suite.run("--strict-markers", *options, plugins=["xdist"], python=["-W", "error"]).expect(0)


@pytest.mark.parametrize("question", ["--help", "--version", "-VV"])
def test_help_is_to_be_had_without_privilege(suite: Suite, question: str) -> None:
    suite.write("pytest.ini", "[pytest]\naddopts = --seccomp-deny-log=/proc/no/such\n")
    suite.run(question).expect(0)


@audit
@pytest.mark.parametrize(
    "arguments", [["-k", "nothing"], ["--collect-only"], ["--fixtures"], ["--setup-plan", "-k", "no"]]
)
def test_a_run_without_a_test_leaves_the_file_as_it_was(one: Suite, arguments: list[str]) -> None:
    (one.folder / "denied.ndjson").write_text('{"complete": false, "reasons": ["old"], "lines": 0}\n')
    with Run(one, "--seccomp-deny-log=denied.ndjson", *arguments) as run:
        finished = run.finish()
        run.expect_nothing_left()
    assert finished.status in (0, 5)
    assert DenyLog.read(one.folder / "denied.ndjson").reasons == ["old"]


@audit
@ways
def test_a_log_that_cannot_be_written_is_not_passed_over(suite: Suite, options: tuple[str, ...]) -> None:
    suite.write("test_one.py", "import os\ndef test_one(): os.mkdir('place/denied.ndjson')\n")
    with Run(suite, "--seccomp-deny-log=place/denied.ndjson", *options, plugins=["xdist"]) as run:
        finished = run.finish(3)
        run.expect_nothing_left()
    assert "NOT WRITTEN: cannot write " in finished.stdout
    assert "Is a directory (EISDIR): make room or name another place" in finished.stdout


@audit
def test_two_runs_with_one_path_leave_the_last_ones(suite: Suite) -> None:
    suite.write(
        "test_one.py",
        DENIED
        + """
def test_one():
    pathlib.Path("here").touch()
    while not os.path.exists("go"):
        time.sleep(0.01)
""",
    )
    suite.write("test_two.py", DENIED + "def test_two(): denied()\n")
    with Run(suite, "--seccomp-deny-log=denied.ndjson", "test_one.py") as first:
        first.wait_for("here")
        watched(suite, "test_two.py", status=1)
        (suite.folder / "go").touch()
        finished = first.finish(0)
    assert DenyLog.read(suite.folder / "denied.ndjson").records == []
    assert "denied.ndjson was written by another run meanwhile, which this one has replaced" in finished.stdout


@pytest.mark.needs("root", "mount")
@ways
def test_without_privilege_the_capability_is_named_before_the_run(
    one: Suite, tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "tmp").mkdir()
    for path in (one.folder, *one.folder.rglob("*"), tmp_path / "tmp"):
        os.chown(path, UID, UID)
    before = as_ordinary_user(one.folder, tmp_path / "tmp")
    with Run(
        one, "--seccomp-deny-log=d", *options, before=before, temporary=tmp_path / "tmp", plugins=["xdist"]
    ) as run:
        finished = run.finish(4)
        run.expect_nothing_left()
    (line,) = finished.stderr.strip().splitlines()
    assert line.startswith("ERROR: pytest-seccomp: the kernel's log cannot be read: ")
    assert "CAP_AUDIT_READ" in line
    assert "without it, --seccomp-deny-source=supervised has what" in line
    assert not (one.folder / "was run").exists()
    assert not (one.folder / "d").exists()


@audit
@pytest.mark.needs("root")
def test_a_worker_without_privilege_runs_no_test(suite: Suite, tmp_path: Path) -> None:
    """It stops the session, and says why; nothing passes unseen."""
    setpriv = shutil.which("setpriv")
    suite.write("test_many.py", "import pytest\n@pytest.mark.parametrize('n', range(9))\ndef test_many(n): assert 0\n")
    wrapper = tmp_path / "python"
    bounds = "--bounding-set=-audit_read,-audit_control,-syslog,-sys_admin"
    wrapper.write_text(f'#!/bin/sh\nexec {setpriv} {bounds} {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    arguments = ["--seccomp-deny-log=denied.ndjson", "--dist=load", "--tx", f"popen//python={wrapper}"]
    with Run(suite, *arguments, plugins=["xdist"]) as run:
        finished = run.finish(2)
        run.expect_nothing_left()
    assert "FAILED" not in finished.stdout
    assert "worker gw0: the kernel's log cannot be read: " in finished.stdout


@pytest.mark.needs("root", "kmsg")
def test_kmsg_where_audit_cannot_be_had(suite: Suite) -> None:
    """Shared with the whole machine, and lossy: what came is in the log, or it says that something is missing."""
    suite.write("test_one.py", DENIED + "def test_one(): denied()\n")
    finished = suite.run("--seccomp-deny-log=denied.ndjson", before=["setpriv", "--bounding-set=-audit_read"])
    if finished.status == 4:  # others have used up what the kernel prints in five seconds
        assert "kmsg: it can be opened, but no record of a call made now comes" in finished.stderr
        return
    log = DenyLog.read(finished.expect(1).folder / "denied.ndjson")
    assert log.places == {("test_one", "call", "socket"): 1} or not log.complete
    assert {record["source"] for record in log.records} <= {"kmsg"}
    assert "seccomp: denials from the kernel's log (kmsg)" in finished.stdout
    assert "lossy by nature: the kernel prints" in finished.stdout


@audit
def test_without_a_terminal_it_is_told_on_stderr(suite: Suite) -> None:
    suite.write("conftest.py", DENIED + "def pytest_sessionfinish(): denied()\n")
    suite.write("test_one.py", "def test_one(): pass\n")
    finished, _ = watched(suite, plugins=["no:terminal"], status=1)
    assert finished.stdout == ""
    assert finished.stderr.splitlines() == ["pytest-seccomp: 1 unexpected denials: see denied.ndjson"]


@audit
@ways
@pytest.mark.parametrize("mode", ["fail", "warn"])
def test_a_watcher_that_is_killed_fails_the_session(suite: Suite, options: tuple[str, ...], mode: str) -> None:
    """Nothing passes for lack of eyes, unless the user only wants to be told."""
    suite.write(
        "test_one.py",
        """
        import os, pathlib, time
        def test_one():
            pathlib.Path("here").touch()
            while not os.path.exists("go"):
                time.sleep(0.01)
        """,
    )
    options = ("-n1",) if options == ("-n2",) else options
    arguments = ["--seccomp-deny-log=denied.ndjson", f"--seccomp-on-denied={mode}", *options]
    with Run(suite, *arguments, plugins=["xdist"]) as run:
        run.wait_for("here")
        run.kill_watchers()
        (suite.folder / "go").touch()
        finished = run.finish(1 if mode == "fail" else 0)
    assert "1 passed" in finished.stdout
    assert "INCOMPLETE: denials may be missing:" in finished.stdout
    assert "the watcher of the kernel's log died: what was denied after that is not known" in finished.stdout
    log = DenyLog.read(suite.folder / "denied.ndjson")
    assert log.reasons is not None
    assert any("the watcher of the kernel's log died" in reason for reason in log.reasons)


@audit
def test_a_test_that_closes_all_descriptors(suite: Suite) -> None:
    suite.write("test_close.py", DENIED + "def test_close(): os.closerange(200, 2000)\ndef test_after(): denied()\n")
    finished, log = watched(suite, status=1)
    assert "2 passed" in finished.stdout
    assert log.reasons is not None
    assert any("closed descriptors that it did not open" in reason for reason in log.reasons)


@audit
@pytest.mark.needs("root", "mount")
def test_workers_that_do_not_see_the_controllers_files(suite: Suite, tmp_path: Path) -> None:
    """As on another host: what they have seen comes through workeroutput."""
    suite.write("test_one.py", DENIED + "def test_one(): denied(name='ä ö')\ndef test_two(): denied(number=BIND)\n")
    elsewhere = python_elsewhere(tmp_path)
    arguments = ["--seccomp-deny-log=denied.ndjson", "--dist=load", "--tx", elsewhere, "--tx", elsewhere]
    with Run(suite, *arguments, plugins=["xdist"]) as run:
        run.finish(1)
        run.expect_nothing_left()
    log = DenyLog.read(suite.folder / "denied.ndjson")
    assert log.complete
    assert log.places == {("test_one", "call", "socket"): 1, ("test_two", "call", "bind"): 1}
