"""What a filter denies to a program that the tests start fails the right test, in the right phase, over any outcome."""

import json
import platform
from collections import Counter
from xml.etree import ElementTree

import pytest
from denylog import DENIED, NUMBERS, watched
from traced import Suite

pytestmark = pytest.mark.needs("audit")

ways = pytest.mark.parametrize("options", [("-n0",), ("-n2",)], ids=["alone", "xdist"])

OUTCOMES = (
    DENIED
    + """
@pytest.fixture
def in_setup():
    denied()

@pytest.fixture
def in_teardown():
    yield
    denied()

@pytest.fixture(scope="module")
def in_module():
    denied()
    yield

def test_clean(): pass
def test_call(): denied()
def test_setup(in_setup): pass
def test_teardown(in_teardown): pass
def test_wider(in_module): pass

@pytest.mark.xfail
def test_xfail():
    denied()
    assert False

@pytest.mark.xfail(strict=False)
def test_xpass():
    denied()

def test_skip():
    denied()
    pytest.skip("in the middle")

def test_fails():
    denied()
    assert "its own" == "reason"

def test_fails_in_all_phases(in_setup, in_teardown):
    raise AssertionError("is not called")

def test_expected_in_part(in_teardown):
    denied(number=BIND)
test_expected_in_part = pytest.mark.seccomp_expect_denied("bind")(test_expected_in_part)
"""
)

FAILED = {"test_call", "test_xfail", "test_xpass", "test_skip", "test_fails"}


@ways
def test_each_outcome_is_overruled(suite: Suite, options: tuple[str, ...]) -> None:
    suite.write("test_outcomes.py", OUTCOMES)
    finished, log = watched(suite, "-rA", "--junitxml=out.xml", *options, plugins=["xdist"], status=1)
    assert log.complete
    expected: Counter[tuple[str, str, str]] = Counter()
    for name in FAILED:
        expected[name, "call", "socket"] = 1
    for name in ("test_setup", "test_wider", "test_fails_in_all_phases"):
        expected[name, "setup", "socket"] = 1
    for name in ("test_teardown", "test_fails_in_all_phases", "test_expected_in_part"):
        expected[name, "teardown", "socket"] = 1
    expected["test_expected_in_part", "call", "bind"] = 1
    assert log.places == expected
    assert [record["name"] for record in log.records if record["expected"]] == ["bind"]
    lines = finished.stdout.splitlines()
    assert {line.split()[1].partition("::")[2] for line in lines if line.startswith("FAILED ")} == FAILED
    errors = [line.split()[1].partition("::")[2] for line in lines if line.startswith("ERROR ")]
    assert Counter(errors) == {
        "test_setup": 1,
        "test_wider": 1,
        "test_teardown": 1,
        "test_expected_in_part": 1,
        "test_fails_in_all_phases": 2,
    }
    assert "assert 'its own' == 'reason'" in finished.stdout  # it keeps its traceback
    assert finished.stdout.count("- seccomp denials -") == 1
    assert "No test has failed for it" not in finished.stdout
    cases = {case.get("name"): case for case in ElementTree.parse(suite.folder / "out.xml").iter("testcase")}
    for name in FAILED - {"test_fails"}:
        (failure,) = cases[name].findall("failure")
        assert str(failure.text).startswith("seccomp denied socket to ")
        assert cases[name].findall("skipped") == []
    assert "its own" in str(cases["test_fails"].findall("failure")[0].text)
    assert len(cases["test_setup"].findall("error")) == 1
    assert len(cases["test_clean"]) == 0


ACTIONS = {
    "errno": "logged.ERRNO | 1",
    "kill_process": "logged.KILL_PROCESS",
    "kill_thread": "logged.KILL_THREAD",
    "trap": "logged.TRAP",
}


@ways
def test_each_action_of_a_grandchild_that_ends_at_once(suite: Suite, options: tuple[str, ...]) -> None:
    tests = [f"def test_{name}(): print('pid', denied({verdict}, name='cu\"rl'))" for name, verdict in ACTIONS.items()]
    suite.write("test_actions.py", DENIED + "\n".join(tests))
    finished, log = watched(suite, "-rA", *options, plugins=["xdist"], status=1)
    assert log.complete
    records = {record["nodeid"]: record for record in log.records}
    assert len(log.records) == len(records) == len(ACTIONS)
    for name in ACTIONS:
        record = records[f"test_actions.py::test_{name}"]
        pid = record.pop("pid")
        assert f"pid {pid}" in finished.stdout
        exe = record.pop("exe")
        assert exe.startswith("/")
        assert record == {
            "nodeid": f"test_actions.py::test_{name}",
            "phase": "call",
            "rerun": 0,
            "syscall": NUMBERS["socket"],
            "name": "socket",
            "arch": platform.machine(),
            "count": 1,
            "action": name,
            "errno": None,
            "comm": 'cu"rl',
            "args": None,
            "source": "audit",
            "expected": False,
        }
        for text in (
            f'seccomp denied socket to cu"rl ({name})',
            f"In the call of test_actions.py::test_{name}:",
            f'    socket: {name}, to cu"rl, process {pid}, {exe}',
            '    @pytest.mark.seccomp_expect_denied("socket")',
        ):
            assert text in finished.stdout


def test_equal_denials_are_one_record_with_a_count(suite: Suite) -> None:
    suite.write("test_many.py", DENIED + "def test_many(): denied(times=500)\n")
    finished, log = watched(suite, status=1)
    assert [(record["count"], record["name"]) for record in log.records] == [(500, "socket")]
    assert "socket, 500 times: errno" in finished.stdout


@ways
def test_what_is_expected_fails_nothing(suite: Suite, options: tuple[str, ...]) -> None:
    suite.write("pytest.ini", "[pytest]\nseccomp_expected_denials =\n    bind\n    mount\naddopts = --strict-markers\n")
    suite.write(
        "test_expected.py",
        DENIED
        + """
pytestmark = pytest.mark.seccomp_expect_denied("mount")

@pytest.mark.seccomp_expect_denied("socket", strict=True)
class TestClass:
    def test_by_the_class(self): denied()

    @pytest.mark.xfail
    def test_that_fails_before(self): assert False

    def test_that_is_skipped_before(self): pytest.skip()

def test_by_the_ini_file(): denied(number=BIND)

@pytest.mark.seccomp_expect_denied("bind", "socket")
def test_by_itself():
    denied()
    denied(number=BIND)
""",
    )
    finished, log = watched(suite, "-v", *options, plugins=["xdist"], status=0)
    assert log.complete
    assert all(record["expected"] for record in log.records)
    assert log.places == Counter(
        {
            ("test_by_the_class", "call", "socket"): 1,
            ("test_by_the_ini_file", "call", "bind"): 1,
            ("test_by_itself", "call", "socket"): 1,
            ("test_by_itself", "call", "bind"): 1,
        }
    )
    assert "seccomp denials: 4 expected (audit)" in finished.stdout


@pytest.mark.parametrize("mode", ["fail", "warn"])
def test_what_has_to_come_and_does_not(suite: Suite, mode: str) -> None:
    suite.write(
        "test_strict.py",
        DENIED
        + """
@pytest.mark.seccomp_expect_denied("socket", "bind", strict=True)
def test_one_of_two(): denied()
""",
    )
    finished, log = watched(suite, f"--seccomp-on-denied={mode}", status=1)
    assert "FAILED test_strict.py::test_one_of_two" in finished.stdout
    assert "expected denial of bind did not come\n\nIn the call of " in finished.stdout
    assert "no logged denial of bind in setup and call, but strict=True" in finished.stdout
    assert log.places == {("test_one_of_two", "call", "socket"): 1}


@ways
def test_a_wrong_marker_is_an_error_of_its_test_alone(suite: Suite, options: tuple[str, ...]) -> None:
    suite.write(
        "test_wrong.py",
        """
        import pytest

        @pytest.mark.seccomp_expect_denied("sockt")
        def test_wrong(): pass

        def test_right(): pass
        """,
    )
    finished, _ = watched(suite, *options, plugins=["xdist"], status=1)
    assert "no system call is named 'sockt': did you mean socket" in finished.stdout
    assert "1 passed, 1 error" in finished.stdout


@ways
@pytest.mark.parametrize("settings", [["--seccomp-on-denied=warn"], ["-o", "seccomp_on_denied=warn"]])
def test_warn_tells_and_fails_nothing(suite: Suite, options: tuple[str, ...], settings: list[str]) -> None:
    suite.write("test_call.py", DENIED + "def test_call(): denied()\n")
    finished, log = watched(suite, "-rP", *options, *settings, plugins=["xdist"], status=0)
    assert log.places == {("test_call", "call", "socket"): 1}
    assert not log.records[0]["expected"]
    assert "- seccomp denials -" in finished.stdout
    assert "seccomp denials: 1 unexpected (audit)" in finished.stdout
    assert "1 passed" in finished.stdout


@ways
def test_a_run_without_a_denial(suite: Suite, options: tuple[str, ...]) -> None:
    """An allowed call, one that only is logged, and an error of a filter that does not have it logged are none."""
    suite.write(
        "test_nothing.py",
        DENIED
        + """
def test_allowed(): os.getppid()
def test_logged(): denied(logged.LOG)
def test_silent(): logged.run(logged.ERRNO | 1, number=SOCKET, flags=0)
""",
    )
    finished, log = watched(suite, *options, plugins=["xdist"], status=0)
    assert log.records == []
    assert log.complete
    assert "seccomp denials: none (audit)" in finished.stdout
    assert "no logged denial: what a filter denies with an error" in finished.stdout
    quiet, _ = watched(suite, "-q", *options, plugins=["xdist"], status=0)
    assert "seccomp" not in quiet.output


def test_maxfail_and_last_failed_know_it(suite: Suite) -> None:
    suite.write("test_two.py", DENIED + "def test_one(): denied()\ndef test_two(): pass\n")
    finished, _ = watched(suite, "-x", status=1, plugins=["cacheprovider"])
    assert "1 failed" in finished.stdout
    assert "passed" not in finished.stdout.splitlines()[-1]
    again = suite.run("--lf", "--collect-only", "-q", plugins=["cacheprovider"]).expect(0)
    assert "test_two.py::test_one" in again.stdout
    assert "test_two.py::test_two" not in again.stdout


@ways
def test_reports_carry_the_records(suite: Suite, options: tuple[str, ...]) -> None:
    """Also of a process whose name is no text, which xdist could not send as it is."""
    suite.write(
        "conftest.py",
        """
        import json, os

        def pytest_runtest_logreport(report):
            if "PYTEST_XDIST_WORKER" not in os.environ and getattr(report, "seccomp_denials", None):
                with open("reported.ndjson", "a") as file:
                    print(json.dumps([report.when, report.seccomp_denials]), file=file)
        """,
    )
    suite.write(
        "test_call.py",
        DENIED
        + r"""
def test_call():
    pid = os.fork()
    if not pid:
        with open("/proc/self/comm", "wb") as file:
            file.write(b"\xff\x1b")
        denied()
        os._exit(0)
    os.waitpid(pid, 0)
""",
    )
    _, log = watched(suite, *options, plugins=["xdist"], status=1)
    (line,) = (suite.folder / "reported.ndjson").read_text().splitlines()
    when, records = json.loads(line)
    assert when == "call"
    (record,) = log.records
    assert record["comm"] == "\udcff\x1b"
    assert records == [{**record, "comm": r"\udcff\x1b"}]


@ways
def test_every_kind_of_test(suite: Suite, options: tuple[str, ...]) -> None:
    suite.write(
        "test_kinds.py",
        DENIED
        + """
import unittest

class TestCase(unittest.TestCase):
    def test_method(self): denied()

    @unittest.expectedFailure
    def test_expected_to_fail(self):
        denied()
        assert False

    def test_skips(self):
        denied()
        self.skipTest("in the middle")

    @pytest.mark.seccomp_expect_denied("socket")
    def test_marked(self): denied()

def documented():
    '''
    >>> _ = denied()
    '''

@pytest.mark.anyio
async def test_async(anyio_backend): denied()

@pytest.fixture
def anyio_backend(): return "asyncio"
""",
    )
    finished, log = watched(suite, "--doctest-modules", *options, plugins=["xdist", "anyio"], status=1)
    unexpected = {"test_method", "test_expected_to_fail", "test_skips", "test_kinds.documented", "test_async"}
    assert log.places == {(name, "call", "socket"): 1 for name in (*unexpected, "test_marked")}
    assert {record["nodeid"] for record in log.records if record["expected"]} == {
        "test_kinds.py::TestCase::test_marked"
    }
    assert "5 failed, 1 passed" in finished.stdout


def test_subtests_have_their_own(suite: Suite) -> None:
    pytest.importorskip("pytest", minversion="9.0")
    suite.write(
        "test_sub.py",
        DENIED
        + """
def test_sub(subtests):
    with subtests.test("one"):
        denied(number=BIND)
    with subtests.test("two"):
        pass
    denied()
""",
    )
    finished, log = watched(suite, status=1)
    assert log.places == {("test_sub", "call", "bind"): 1, ("test_sub", "call", "socket"): 1}
    assert "seccomp denied bind to" in finished.stdout
    assert "seccomp denied socket to" in finished.stdout
