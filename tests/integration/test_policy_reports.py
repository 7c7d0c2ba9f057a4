"""What is said of denials by the policy of a test, and what they do."""

import json
import re

import pytest
from policed import MODES, OFFLINE, passed, told
from traced import Suite

pytestmark = pytest.mark.needs("listener")


@pytest.mark.parametrize("options", MODES)
def test_what_a_report_says(suite: Suite, options: list[str]) -> None:
    suite.write(
        "test_one.py",
        """
        import socket
        import pytest

        @pytest.mark.seccomp(deny=["@internet"])
        def test_natural():
            socket.socket()

        @pytest.mark.seccomp(deny=["socket"], action="errno:ENETDOWN")
        def test_swallowed():
            for _ in range(3):
                try:
                    socket.socket()
                except OSError as error:
                    assert error.strerror == "Network is down"

        @pytest.mark.seccomp(deny=["getppid"], action="log")
        def test_logged():
            import os
            assert os.getppid() == os.getppid()
        """,
    )
    finished = suite.run("-rA", "-v", *options).expect(1)
    assert "E       PermissionError: [Errno 1] Operation not permitted" in finished.stdout
    assert "FAILED test_one.py::test_natural - PermissionError" in finished.stdout
    assert "FAILED test_one.py::test_swallowed" in finished.stdout
    assert told(finished, "test_swallowed").startswith("seccomp denied socket to ")
    section = finished.stdout.partition("seccomp denials -")[2]
    assert re.search(
        r"In the call of test_one\.py::test_natural:\n"
        r"    socket: errno:EPERM, to \S+, process \d+, /\S+\n"
        r"        by @pytest\.mark\.seccomp\(deny=\[\"@internet\"\]\) of test_one\.py::test_natural\n"
        r"If it has to be denied, say so above the test:\n"
        r"    @pytest\.mark\.seccomp_expect_denied\(\"socket\"\)\n",
        section,
    )
    assert re.search(
        r"socket, 3 times: errno:ENETDOWN, to \S+, process \d+, /\S+\n"
        r"        by @pytest\.mark\.seccomp\(deny=\[\"socket\"\], action=\"errno:ENETDOWN\"\) of test_one\.py::",
        finished.stdout,
    )
    assert passed(finished) == ["test_logged"]
    assert re.search(
        r"seccomp log -+\nIn the call of test_one\.py::test_logged:\n    getppid, 2 times: log, to \S+, process \d+, ",
        finished.stdout,
    )


def test_a_denial_that_is_expected_fails_nothing(suite: Suite) -> None:
    suite.write("pytest.ini", "[pytest]\nseccomp_expected_denials = getsid\n")
    suite.write(
        "test_one.py",
        """
        import os, socket
        import pytest

        pytestmark = pytest.mark.seccomp(deny=["@internet", "getsid", "getpgid"])

        @pytest.mark.seccomp_expect_denied("socket")
        def test_by_a_marker():
            with pytest.raises(PermissionError):
                socket.socket()

        def test_by_the_ini_file():
            with pytest.raises(PermissionError):
                os.getsid(0)

        @pytest.mark.seccomp_expect_denied("socket", "openat", strict=True)
        def test_that_does_not_come():
            pass

        @pytest.mark.seccomp_expect_denied("socket")
        def test_another_one():
            with pytest.raises(PermissionError):
                os.getpgid(0)
        """,
    )
    finished = suite.run("-rA").expect(1)
    assert passed(finished) == ["test_by_a_marker", "test_by_the_ini_file"]
    # That openat is not denied is nothing that the policy could say
    assert "\nexpected denial of socket did not come\n" in finished.stdout
    assert told(finished, "test_another_one").startswith("seccomp denied getpgid to ")


def test_warnings_only(suite: Suite) -> None:
    suite.write("pytest.ini", "[pytest]\nseccomp_on_denied = warn\n")
    suite.write(
        "test_one.py",
        """
        import socket
        import pytest

        @pytest.mark.seccomp(deny=["@internet"])
        def test_swallowed():
            with pytest.raises(PermissionError):
                socket.socket()
        """,
    )
    finished = suite.run("-rA").expect(0)
    assert "seccomp denied socket to" in finished.stdout


def test_the_hook_judges_as_well(suite: Suite) -> None:
    suite.write(
        "conftest.py",
        """
        def pytest_seccomp_denial(denial, notes, item):
            notes.append(f"{denial.source} {denial.args[0]} {denial.errno}")
            return item.name == "test_one"
        """,
    )
    suite.write(
        "test_one.py",
        """
        import socket
        import pytest

        pytestmark = pytest.mark.seccomp(deny=["@internet"])

        @pytest.mark.parametrize("number", [1, 2])
        def test_other(number):
            with pytest.raises(PermissionError):
                socket.socket(socket.AF_INET)

        def test_one():
            test_other(1)
        """,
    )
    finished = suite.run("-rA").expect(1)
    assert passed(finished) == ["test_one"]
    assert finished.stdout.count("        notify 2 EPERM\n") == 2


def test_markers_add_up_and_the_closest_decides_among_equals(suite: Suite) -> None:
    suite.write(
        "test_one.py",
        """
        import errno, socket
        import pytest

        pytestmark = pytest.mark.seccomp(deny=["socket"], action="errno:EACCES")

        def failing(family=socket.AF_INET):
            with pytest.raises(OSError) as caught:
                socket.socket(family)
            return caught.value.errno

        @pytest.mark.seccomp_expect_denied("socket", "getpgid")
        @pytest.mark.seccomp(deny=["@internet"], action="log")
        class TestClass:
            def test_of_the_module(self):
                assert failing() == errno.EACCES

            @pytest.mark.seccomp(deny=["@internet"], action="errno:ENETDOWN")
            def test_of_its_own(self):
                assert failing() == errno.ENETDOWN
                assert failing(socket.AF_UNIX) == errno.EACCES
        """,
    )
    finished = suite.run("-rA").expect(0)
    assert 'by @pytest.mark.seccomp(deny=["socket"], action="errno:EACCES") of test_one.py\n' not in finished.stdout
    assert passed(finished) == ["test_of_the_module", "test_of_its_own"]


@pytest.mark.parametrize("options", MODES[:2])
def test_a_wrong_marker_is_an_error_of_its_test(suite: Suite, options: list[str]) -> None:
    suite.write(
        "test_one.py",
        """
        import pytest

        @pytest.mark.seccomp(deny=["@internett"])
        def test_wrong():
            pass

        @pytest.mark.seccomp(deny=["socket"], action="kill_process")
        class TestWrong:
            def test_of_its_class(self):
                pass

        @pytest.mark.seccomp(deny=["socket"])
        @pytest.mark.seccomp_expect_denied("sokcet")
        def test_expecting():
            pass

        def test_other():
            pass
        """,
    )
    finished = suite.run("-rA", *options).expect(1)
    errors = re.findall(r"^(test_one\.py.*: @pytest\.mark\.seccomp.*)$", finished.stdout, re.MULTILINE)
    group, action, name = errors
    start = "test_one.py::test_wrong: @pytest.mark.seccomp: no group of system calls is named '@internett': did you"
    assert group == f"{start} mean @internet?"
    start = "test_one.py::TestWrong: @pytest.mark.seccomp: action='kill_process': in a test there are errno:NAME and"
    assert action == f"{start} log; all others belong to programs in sandboxes (seccomp_run)"
    start = "test_one.py::test_expecting: @pytest.mark.seccomp_expect_denied: no system call is named 'sokcet': did you"
    assert name == f"{start} mean socket or socketpair or socketcall?"
    assert passed(finished) == ["test_other"]
    assert "1 passed, 3 errors" in finished.stdout


def test_a_denial_in_a_fixture_is_an_error(suite: Suite) -> None:
    suite.write(
        "test_one.py",
        """
        import socket
        import pytest

        @pytest.fixture
        def own():
            yield
            with pytest.raises(PermissionError):
                socket.socket()

        @pytest.mark.seccomp(deny=["@internet"], fixtures=True)
        def test_one(own):
            pass
        """,
    )
    finished = suite.run("-rA").expect(1)
    assert "ERROR test_one.py::test_one" in finished.stdout
    assert told(finished, "ERROR at teardown of test_one").startswith("seccomp denied socket to ")
    assert "In the teardown of test_one.py::test_one:" in finished.stdout


@pytest.mark.needs("audit")
def test_denials_are_in_the_deny_log(suite: Suite) -> None:
    suite.write("test_offline.py", OFFLINE)
    finished = suite.run("--seccomp-deny-log=denied.ndjson", "-n", "2", plugins=["xdist"]).expect(0)
    found = [json.loads(line) for line in (suite.folder / "denied.ndjson").read_text().splitlines()]
    assert {line["nodeid"].rpartition("::")[2] for line in found} >= {"test_python", "test_thread", "test_program"}
    assert {(line["name"], line["action"], line["errno"], line["source"], line["expected"]) for line in found} == {
        ("socket", "errno", "EPERM", "notify", True)
    }
    assert all(line["args"][0] in (2, 10) for line in found)
    assert "expected" in finished.stdout
    kernel = suite.run("--seccomp-deny-log=denied.ndjson", "--seccomp-deny-source=kernel").expect(0)
    assert (suite.folder / "denied.ndjson").read_text() == "", kernel.output
