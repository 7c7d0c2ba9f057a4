"""Programs in sandboxes: their calls and denials are the running test's, in every kind of run."""

from collections import Counter
from typing import Any

import pytest
from policed import MODES
from running import traced
from traced import Suite, TestLine

pytestmark = pytest.mark.needs("listener")

ASK = "import socket\ntry: socket.socket()\nexcept OSError as error: print(error.strerror)"

SUITE = f"""
    import asyncio, json, os, subprocess, sys, threading
    import pytest

    ASK = {ASK!r}
    COUNT = "import os\\nfor _ in range(1000): os.getppid()"

    @pytest.fixture(scope="session")
    def server(seccomp_popen):
        pipes = {{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}}
        answer = "import os, sys\\nfor line in sys.stdin: os.getpgrp(); print(line, end='', flush=True)"
        with seccomp_popen([sys.executable, "-c", answer], **pipes, text=True, bufsize=1) as process:
            yield process
            process.kill()

    def ask(server):
        server.stdin.write("hello\\n")
        assert server.stdout.readline() == "hello\\n"

    def test_calls(seccomp_run):
        result = seccomp_run([sys.executable, "-c", COUNT])
        assert result.complete and result.denied == ()
        assert result.syscalls["getppid"] == 1000
        assert result.syscalls["execve"] == 1

    def test_threads(seccomp_run):
        results = []
        threads = [
            threading.Thread(target=lambda: results.append(seccomp_run([sys.executable, "-c", COUNT])))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [result.syscalls["getppid"] for result in results] == [1000] * 3

    def test_asyncio(seccomp_run):
        async def main():
            starts = (seccomp_run.aio(["echo", str(n)], capture_output=True, text=True) for n in range(3))
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(seccomp_run.aio(["sleep", "1000"]), 0.01)
            return await asyncio.gather(*starts)
        assert [result.stdout for result in asyncio.run(main())] == ["0\\n", "1\\n", "2\\n"]

    def test_server(server):
        ask(server)

    def test_server_again(server):
        ask(server)
        ask(server)

    def test_policy(seccomp_run):
        result = seccomp_run(
            [sys.executable, "-c", ASK], deny=["@internet"], expect_denied=["@internet"], capture_output=True, text=True
        )
        assert result.stdout == "Operation not permitted\\n"
        (denial,) = result.denied
        assert (denial.name, denial.errno, denial.count) == ("socket", "EPERM", 1)
        assert result.complete

    @pytest.mark.xfail
    def test_unexpected(seccomp_run):
        seccomp_run([sys.executable, "-c", ASK], deny=["socket"])

    @pytest.mark.seccomp_expect_denied("socket")
    def test_killed(seccomp_run):
        with pytest.raises(subprocess.CalledProcessError) as raised:
            seccomp_run([sys.executable, "-c", ASK], deny=["socket"], action="kill_process", check=True)
        assert raised.value.returncode == -31

    def test_logged(seccomp_run):
        assert seccomp_run([sys.executable, "-c", ASK], deny=["socket"], action="log").logged
"""


def under_a_policy(line: TestLine) -> dict[str, Any]:
    """The one sandbox of a test that has a policy. The server may still have something to do when another test runs."""
    (found,) = [sandbox for sandbox in line.members["sandboxes"] if sandbox["policy"] is not None]
    return dict(found)


@pytest.mark.parametrize("options", MODES)
def test_what_programs_do_is_the_running_tests(suite: Suite, options: list[str]) -> None:
    suite.write("test_boxed.py", SUITE)
    finished = suite.run("-rA", *options).expect(1)
    assert "FAILED test_boxed.py::test_unexpected" in finished.stdout
    assert "\nseccomp denied socket to python (errno:EPERM)\n" in finished.stdout
    assert "in the sandbox with deny=" in finished.stdout
    assert finished.stdout.count("PASSED ") == 8
    assert "--- seccomp log ---" in finished.stdout
    if not options:
        return
    trace = finished.trace()
    assert trace.complete
    assert trace.test("test_calls").phase("call")["getppid"] == 1000
    assert trace.test("test_threads").phase("call")["getppid"] == 3000
    # pytest starts none of them: the only execve are those of the sandboxes
    executed = {line.nodeid.rpartition("::")[2]: line.counts.get("execve", 0) for line in trace.tests}
    assert executed == {
        "test_calls": 1, "test_threads": 3, "test_asyncio": 4, "test_server": 1, "test_server_again": 0,
        "test_policy": 1, "test_unexpected": 1, "test_killed": 1, "test_logged": 1,
    }  # fmt: skip
    assert trace.test("test_server").phase("shared")["execve"] == 1
    assert trace.test("test_server").phase("call")["getpgrp"] == 1
    assert trace.test("test_server_again").phase("call")["getpgrp"] == 2
    assert "socket" not in trace.test("test_policy").counts
    assert trace.test("test_logged").counts["socket"] == 1
    boxed = under_a_policy(trace.test("test_policy"))
    assert (boxed["argv"][2], boxed["policy"], boxed["phase"]) == (ASK, 'deny=["@internet"]', "call")
    (denied,) = boxed["denied"]
    assert (denied["name"], denied["action"], denied["errno"], denied["count"]) == ("socket", "errno", "EPERM", 1)
    for line in trace.tests:
        inside: Counter[str] = Counter()
        for sandbox in line.members["sandboxes"]:
            assert sandbox["complete"] is True
            inside.update({entry["name"]: entry["count"] for entry in sandbox["syscalls"]})
        assert not inside - Counter(line.counts), line.nodeid


def test_under_xdist(suite: Suite) -> None:
    suite.write("test_boxed.py", SUITE)
    trace = suite.trace("-n", "2", plugins=["xdist"], status=1)
    assert trace.complete
    assert trace.test("test_threads").phase("call")["getppid"] == 3000
    assert sum(line.phase("call").get("getpgrp", 0) for line in trace.tests) == 3
    assert under_a_policy(trace.test("test_policy"))["denied"][0]["name"] == "socket"


def test_a_policy_that_is_wrong(suite: Suite) -> None:
    profile = '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["%s"], "action": "%s"}]}'
    suite.write("wrong.json", profile % ("socket", "SCMP_ACT_KIL"))
    suite.write("odd.json", profile % ("opnat", "SCMP_ACT_ERRNO"))
    suite.write(
        "test_wrong.py",
        """
        import pytest
        from pytest_seccomp.errors import PolicyWarning, SeccompError

        @pytest.mark.parametrize(("named", "text"), [
            ({"deny": ["sockt"]}, "no system call is named 'sockt': did you mean socket"),
            ({"deny": ["@internt"]}, "did you mean @internet?"),
            ({"deny": "socket"}, 'write deny=["socket"]'),
            ({"deny": ["socket"], "action": "kill_proces"}, "'kill_proces' is no action: did you mean kill_process"),
            ({"policy": "wrong.json"}, 'wrong.json: syscalls[0].action: "SCMP_ACT_KIL" is no action: did you mean SC'),
            ({"policy": "none.json"}, "cannot read none.json: No such file"),
            ({"policy": "odd.json", "deny": ["socket"]}, "not both"),
            ({"expect_denied": ["sockt"]}, "expect_denied: no system call is named 'sockt'"),
            ({"deny": ["ptrace"], "capabilities": ["CAP_SYS_ADMN"]}, "did you mean CAP_SYS_ADMIN?"),
        ])
        def test_wrong(seccomp_run, named, text):
            with pytest.raises(SeccompError) as raised:
                seccomp_run(["true"], **named)
            assert "seccomp_run: " in str(raised.value) and text in str(raised.value)

        def test_odd(seccomp_run):
            with pytest.warns(PolicyWarning, match="opnat.*did you mean openat"):
                seccomp_run(["true"], policy="odd.json")

        def test_none(seccomp_run):
            with pytest.raises(FileNotFoundError) as raised:
                seccomp_run(["/no/such/program"], deny=["socket"])
            assert raised.value.filename == "/no/such/program"
        """,
    )
    suite.run("-W", "error").expect(0)


def test_a_sandbox_and_the_policy_of_a_test_have_one_verdict(suite: Suite) -> None:
    suite.write(
        "test_both.py",
        f"""
        import socket, sys
        import pytest

        ASK = {ASK!r}

        @pytest.mark.seccomp(deny=["socket"])
        @pytest.mark.seccomp_expect_denied("socket", strict=True)
        def test_strict(seccomp_run):
            seccomp_run([sys.executable, "-c", ASK], deny=["@internet"])

        @pytest.mark.seccomp(deny=["bind"])
        def test_unexpected(seccomp_run):
            seccomp_run([sys.executable, "-c", ASK], deny=["@internet"])

        @pytest.mark.seccomp_expect_denied("socket", strict=True)
        @pytest.mark.seccomp(deny=["@internet"])
        @pytest.mark.parametrize("named", [{{}}, {{"deny": ["bind"]}}])
        def test_the_policy_of_a_test_holds_for_what_it_starts(seccomp_run, named):
            result = seccomp_run([sys.executable, "-c", ASK], **named, capture_output=True, text=True)
            assert result.stdout == "Operation not permitted\\n"
            assert result.denied[0].name == "socket"
            if not named:
                assert result.syscalls["execve"] == 1

        def test_the_next_one_is_free(seccomp_run):
            assert seccomp_run([sys.executable, "-c", ASK], capture_output=True).stdout == b""
        """,
    )
    finished = suite.run("-rA").expect(1)
    assert "PASSED test_both.py::test_strict" in finished.stdout
    assert "1 failed, 4 passed" in finished.stdout
    assert "FAILED test_both.py::test_unexpected" in finished.stdout
    assert "\nseccomp denied socket to python (errno:EPERM)\n" in finished.stdout


def test_what_outlives_its_test_ends_with_the_session(suite: Suite) -> None:
    suite.write(
        "test_daemon.py",
        """
        def test_leaves(seccomp_run):
            assert seccomp_run("setsid sleep 1000 >/dev/null 2>&1 &", shell=True).returncode == 0

        def test_after(seccomp_run):
            assert seccomp_run(["true"]).complete
        """,
    )
    with traced(suite) as run:
        trace = run.trace(0)
        run.expect_nothing_left()
    assert trace.complete
    assert trace.outcomes == {"test_daemon.py::test_leaves": "passed", "test_daemon.py::test_after": "passed"}
