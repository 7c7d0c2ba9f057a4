"""--seccomp-profile: a call outside it fails the test that made it, whatever else is said of that test."""

import re
import signal
from xml.etree import ElementTree

import profiles
import pytest
from running import Run
from traced import Finished, Suite

from pytest_seccomp.linux.syscalls import all_names

pytestmark = pytest.mark.needs("listener")

OPTION = "--seccomp-profile=profile.json"

TESTS = """
    import os, subprocess, sys
    import pytest

    @pytest.fixture
    def before():
        os.getsid(0)

    @pytest.fixture
    def after():
        yield
        os.getsid(0)

    @pytest.fixture(scope="module")
    def wide():
        yield os.getsid(0)
        os.getpgid(0)

    def test_plain():
        os.getppid()

    def test_call():
        os.getsid(0)
        os.getpgid(0)
        os.getsid(0)

    def test_setup(before):
        raise AssertionError("not reached")

    def test_teardown(after):
        pass

    @pytest.mark.xfail
    def test_xfailed():
        os.getsid(0)
        raise AssertionError

    @pytest.mark.xfail
    def test_xpassed():
        os.getsid(0)

    def test_skipped():
        os.getsid(0)
        pytest.skip("not now")

    def test_failed():
        os.getsid(0)
        raise ValueError("its own")

    def test_child():
        subprocess.run([sys.executable, "-ISc", "import os; os.getsid(0)"], check=True)

    def test_wide(wide):
        pass
"""


def verdicts(suite: Suite) -> dict[str, list[str]]:
    """What the JUnit report says of each test that is no plain success: kinds and messages."""
    root = ElementTree.parse(suite.folder / "junit.xml").getroot()
    return {
        case.attrib["name"]: [f"{found.tag}: {found.attrib['message']}" for found in case if found.tag in KINDS]
        for case in root.iter("testcase")
        if any(found.tag in KINDS for found in case)
    }


KINDS = ("failure", "error", "skipped")
SAYS = "system call that profile.json does not allow: getsid"


@pytest.mark.parametrize(
    ("backend", "workers", "process"),
    [
        pytest.param("notify", "-n0", r"python[^[]*\[\d+\]", id="notify"),
        pytest.param("notify", "-n2", r"\S+\[\d+\]", id="xdist"),
        pytest.param("audit", "-n0", r"python[^[]*\[\d+\]", id="audit", marks=pytest.mark.needs("audit")),
        pytest.param("ebpf", "-n0", r"python[^[]*\[\d+\]", id="ebpf", marks=pytest.mark.needs("bpf")),
    ],
)
def test_a_call_outside_fails_its_test_in_its_phase(suite: Suite, backend: str, workers: str, process: str) -> None:
    profiles.all_but(suite.folder / "profile.json", "getsid", "getpgid")
    suite.write("test_a.py", TESTS)
    options = [OPTION, f"--seccomp-backend={backend}", workers, "--dist=loadfile", "--junitxml=junit.xml", "-v"]
    finished = suite.run(*options, plugins=["xdist"]).expect(1)
    found = verdicts(suite)
    shortened = {
        name: [re.sub(r" by [^,]+", "", text.splitlines()[0]) for text in texts] for name, texts in found.items()
    }
    assert shortened == {
        "test_call": ["failure: system calls that profile.json does not allow: getpgid, getsid"],
        "test_setup": [f'error: failed on setup with "{SAYS}'],
        "test_teardown": [f'error: failed on teardown with "{SAYS}'],
        "test_xfailed": [f"failure: {SAYS}"],
        "test_xpassed": [f"failure: {SAYS}"],
        "test_skipped": [f"failure: {SAYS}"],
        "test_failed": ["failure: ValueError: its own"],
        "test_child": [f"failure: {SAYS}"],
        "test_wide": [
            f'error: failed on setup with "{SAYS}',
            'error: failed on teardown with "system call that profile.json does not allow: getpgid',
        ],
    }
    said = finished.stdout.partition("In the call of test_a.py::test_call:\n")[2].partition("\n____")[0].splitlines()
    assert re.fullmatch(rf"    getsid, 2 times: (the first )?by {process}.*", said[1])
    assert re.fullmatch(rf"    getpgid: by {process}.*", said[0])
    assert said[2] == "If that is right, add to profile.json, or run with --seccomp-update-profile:"
    assert re.fullmatch(rf'    \+ "getpgid"  # test_a\.py::test_call, call, {process}', said[3])
    assert re.fullmatch(rf'    \+ "getsid"  # test_a\.py::test_call, call, {process}', said[4])
    assert "seccomp profile -" in finished.stdout  # the section of the test that failed anyway
    assert "In fixtures of wider scope, during test_a.py::test_wide:\n    getsid: by " in finished.stdout
    summary = finished.stdout.partition("= seccomp profile profile.json: 2 calls outside =")[2]
    assert re.search(rf'\+ "getsid"  # test_a\.py::test_call, call, {process} and 8 other runs of tests\n', summary)
    assert not list(suite.folder.glob("*.ndjson*"))


def test_a_rerun_heals_nothing(suite: Suite) -> None:
    profiles.all_but(suite.folder / "profile.json", "getsid")
    suite.write(
        "test_a.py",
        """
        import os

        runs = []

        def test_twice():
            runs.append(None)
            if len(runs) == 1:
                os.getsid(0)
        """,
    )
    finished = suite.run(OPTION, "--seccomp-trace=out.ndjson", "--reruns=1", plugins=["rerunfailures"]).expect(1)
    assert "1 passed, 1 rerun" in finished.stdout
    assert re.search(r'\+ "getsid"  # test_a\.py::test_twice, call, \S+\[\d+\]\n', finished.stdout)
    assert "No test has failed for it, but the session does" in finished.stdout
    assert [line.rerun for line in finished.trace().tests] == [0, 1]


def test_what_is_inside_passes_and_what_nobody_made_is_listed(suite: Suite) -> None:
    """The file is named by the ini file, seen from there; collecting is judged only if that is asked for."""
    (suite.folder / "ci").mkdir()
    profiles.all_but(suite.folder / "ci" / "profile.json", "getsid")
    suite.write("pytest.ini", "[pytest]\nseccomp_profile = ci/profile.json\n")
    suite.write("test_a.py", "import os\nos.getsid(0)\ndef test_a(): os.getppid()\n")
    (suite.folder / "ci" / "other").mkdir()
    finished = suite.run("../..", "-c", "../../pytest.ini", before=["env", "-C", "ci/other"]).expect(0)
    assert "seccomp: tests are judged by ci/profile.json" in finished.stdout
    assert "= seccomp profile ci/profile.json: nothing outside =" in finished.stdout
    unused = r"calls of ci/profile\.json that these tests did not make:\n  _llseek,[^=]* and \d+ more, which -v shows"
    assert re.search(unused, finished.stdout)
    quiet = suite.run("-q").expect(0)
    assert "seccomp profile" not in quiet.stdout
    for workers in ("-n0", "-n2"):
        options = ["--seccomp-profile-collection", "--seccomp-backend=notify", workers]
        judged = suite.run(*options, plugins=["xdist"]).expect(1)
        assert re.search(r'\+ "getsid"  # collection, \S+\[\d+\]\n', judged.stdout)
        assert "No test has failed for it, but the session does" in judged.stdout
    assert "seccomp:" not in suite.run("--no-seccomp-trace").expect(0).stdout


def test_an_incomplete_trace_passes_no_gate(suite: Suite) -> None:
    """Nor does it update anything."""
    profile = profiles.all_but(suite.folder / "profile.json", "getsid")
    before = profile.read_bytes()
    suite.write(
        "test_a.py",
        """
        import pathlib, time

        def test_a():
            pathlib.Path("ready").touch()
            while not pathlib.Path("go").exists():
                time.sleep(0.01)
        """,
    )
    for options, said in (([OPTION], "nothing outside, INCOMPLETE"), ([OPTION, UPDATE], "NOT UPDATED")):
        with Run(suite, *options) as run:
            run.wait_for("ready")
            [recorder] = run.recorders()
            recorder.kill()
            (suite.folder / "go").touch()
            finished = run.finish(pytest.ExitCode.INTERRUPTED)
            assert f"seccomp profile profile.json: {said}" in finished.stdout
            assert "the recorder died" in finished.stdout
            run.expect_nothing_left()
        for name in ("ready", "go"):
            (suite.folder / name).unlink()
    assert profile.read_bytes() == before


UPDATE = "--seccomp-update-profile"


def test_what_a_test_has_failed_for_is_told_though_the_records_are_lost(suite: Suite) -> None:
    profiles.all_but(suite.folder / "profile.json", "getsid")
    suite.write(
        "test_a.py",
        """
        import os, shutil, sys

        def test_a():
            os.getsid(0)

        def test_b(pytestconfig):
            owner = pytestconfig.pluginmanager.get_plugin("seccomp-owner")
            shutil.rmtree(owner.directory.path)
        """,
    )
    finished = suite.run(OPTION).expect(1)
    assert "= seccomp profile profile.json: 1 call outside, INCOMPLETE =" in finished.stdout
    assert re.search(r'\+ "getsid"  # test_a\.py::test_a, call, \S+\[\d+\]\n', finished.stdout)


def test_an_update_is_advised_only_where_it_helps(suite: Suite) -> None:
    """The report has one call, the summary of the second run two, of which one can be added."""
    denied = {"names": ["getsid"], "action": "SCMP_ACT_KILL"}
    allowed = sorted(all_names() - {"getsid", "getpgid"})
    profiles.write(suite.folder / "profile.json", {"names": allowed, "action": profiles.ALLOW}, denied)
    suite.write("test_a.py", "import os\ndef test_a(): os.getsid(0)\ndef test_b(): os.getpgid(0)\n")
    one = suite.run(OPTION, "test_a.py::test_a").expect(1)
    refused = "cannot be added: the profile denies it by its name: change that by hand\n"
    assert one.stdout.count(refused) == 2
    assert f"\n{UPDATE} would not help:\n    getsid (test_a.py::test_a, call, " in one.stdout
    assert "If that is right" not in one.stdout
    both = suite.run(OPTION).expect(1)
    assert f"If that is right, add to profile.json, or run with {UPDATE}:" in both.stdout
    assert f"If that is right, run with {UPDATE}, or add these lines to profile.json" in both.stdout


def test_a_crash_is_no_pass(suite: Suite) -> None:
    """What a test called whose worker died has no report that it could fail."""
    profiles.all_but(suite.folder / "profile.json", "getsid")
    suite.write("test_a.py", "import os\ndef test_a():\n    os.getsid(0)\n    os._exit(3)\ndef test_b(): pass\n")
    finished = suite.run(OPTION, "-n1", "--max-worker-restart=1", plugins=["xdist"]).expect(1)
    assert '+ "getsid"  # test_a.py::test_a, call, a process that is not known' in finished.stdout
    assert "test_a.py::test_a did not finish" in finished.stdout


def test_a_program_in_a_sandbox_is_its_tests(suite: Suite) -> None:
    """And what starting sandboxes takes is nobody's."""
    profiles.all_but(suite.folder / "profile.json", "getsid")
    suite.write(
        "test_a.py",
        """
        import sys

        def test_a(seccomp_run):
            assert seccomp_run([sys.executable, "-ISc", "import os; os.getsid(0)"]).returncode == 0
        """,
    )
    finished = suite.run(OPTION, "--seccomp-trace=out.ndjson").expect(1)
    assert re.search(r'\+ "getsid"  # test_a\.py::test_a, call, python\S* in a sandbox\n', finished.stdout)
    assert finished.trace().test("test_a").phase("shared") == {}


def test_a_session_that_is_killed_leaves_nothing(suite: Suite) -> None:
    """There is no trace to be written in its place."""
    profiles.all_but(suite.folder / "profile.json", "getsid")
    suite.write(
        "test_a.py", "import pathlib, time\ndef test_a():\n    pathlib.Path('ready').touch()\n    time.sleep(600)\n"
    )
    with Run(suite, OPTION) as run:
        run.wait_for("ready")
        run.kill()
        run.finish(-signal.SIGKILL)
        run.expect_nothing_left()
    assert not list(suite.folder.glob("*.ndjson"))


def test_a_session_without_a_terminal_says_why_it_fails(suite: Suite) -> None:
    profiles.all_but(suite.folder / "profile.json", "getsid")
    suite.write("test_a.py", "import os\ndef test_a(): os.getsid(0)\n")
    finished = suite.run(OPTION, "-p", "no:terminal").expect(1)
    assert finished.stderr == "pytest-seccomp: profile profile.json: 1 call outside\n"


@pytest.mark.parametrize(
    ("options", "content", "said"),
    [
        ([OPTION], None, f"{OPTION}: there is no such file: {UPDATE} makes it"),
        ([OPTION], "{}", 'profile.json: "defaultAction" is missing'),
        ([UPDATE], None, f"{UPDATE} needs --seccomp-profile=FILE, or the ini option seccomp_profile"),
        ([OPTION, "--seccomp-trace=profile.json"], "", "is a file of --seccomp-trace=profile.json: name another"),
        (["--seccomp-profile="], None, "--seccomp-profile is empty"),
        (["--seccomp-profile=.", UPDATE], None, "cannot write a profile to"),
    ],
)
def test_what_cannot_be_is_refused_before_the_run(
    suite: Suite, options: list[str], content: str | None, said: str
) -> None:
    if content is not None:
        suite.write("profile.json", content)
    suite.write("test_a.py", "raise SystemExit('not reached')")
    finished = refused(suite, options)
    assert said in finished.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    ("ini", "said"),
    [
        ("seccomp_profile = gone.json", "ini option seccomp_profile = gone.json: there is no such file"),
        (
            "seccomp_profile = a.json\nseccomp_profile_collection = yes please",
            "ini option seccomp_profile_collection: invalid truth value 'yes please': write true or false",
        ),
    ],
)
def test_an_error_of_the_ini_file_names_its_option(suite: Suite, ini: str, said: str) -> None:
    suite.write("pytest.ini", f"[pytest]\n{ini}\n")
    suite.write("test_a.py", "raise SystemExit('not reached')")
    assert said in refused(suite, []).stderr.replace("\n", " ")


def refused(suite: Suite, options: list[str]) -> Finished:
    """A run that does not come to its tests."""
    finished = suite.run(*options).expect(4)
    assert "not reached" not in finished.output
    return finished
