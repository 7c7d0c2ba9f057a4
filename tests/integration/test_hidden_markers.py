"""A test that comes under a filter which answers munmap(2): the recorder cannot be told any more that there is news.

It lives, and says so: nobody takes it for dead, or waits for it, whatever the filter answers. A filter that answers
prctl(2), as sandboxes do, hides nothing.
"""

import pytest
from running import Run, traced
from traced import Suite

from pytest_seccomp.recorder import protocol

pytestmark = pytest.mark.needs("listener")

ANSWERS = {"EPERM": 1, "EINVAL": 22, "ENOSYS": 38, "success": 0}

SANDBOX = """
    import os
    import pytest
    from pytest_seccomp.linux import seccomp
    from pytest_seccomp.linux.architecture import native

    def test_before():
        os.getppid()

    {marker}
    def test_sandbox():
        answer, allow = seccomp.verdict(0x50000 | {answer}), seccomp.verdict(seccomp.RET_ALLOW)
        number = seccomp.load(seccomp.OFFSET_NUMBER) + seccomp.unless_equal(native().{hidden}, 1)
        seccomp.install(number + answer + allow)

    def test_after():
        for _ in range(2000):  # more than any buffer holds
            os.getppid()

    def test_socket():
        import socket
        socket.socket().close()
"""

POLICY = "@pytest.mark.seccomp(deny=['socket'])"


def write(suite: Suite, answer: int, marker: str = "", hidden: str = "munmap") -> Suite:
    suite.write("test_sandbox.py", SANDBOX.format(answer=answer, marker=marker, hidden=hidden))
    suite.write("test_zebra.py", "import pytest\n\n@pytest.mark.parametrize('n', range(300))\ndef test_many(n): pass")
    return suite


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_the_tests_go_on_and_the_trace_says_what_it_lacks(suite: Suite, answer: int) -> None:
    with traced(write(suite, answer)) as run:
        finished = run.finish(0)
        run.expect_nothing_left()
    assert "304 passed" in finished.stdout
    trace = finished.trace()
    reason = f"{protocol.HIDDEN} (since test_sandbox.py::test_sandbox)"
    assert trace.run["reasons"] == [reason, "the recorder did not come to its end"]
    assert trace.outcomes == {"test_sandbox.py::test_before": "passed"}
    assert reason in finished.stdout


def test_a_filter_that_answers_prctl_hides_nothing(suite: Suite) -> None:
    with traced(write(suite, ANSWERS["EPERM"], hidden="prctl")) as run:
        trace = run.trace(status=0)
    assert trace.complete
    assert len(trace.tests) == 304
    assert trace.test("test_after").own == {"call": {"getppid": 2000}}


def test_in_an_xdist_worker(suite: Suite) -> None:
    with traced(write(suite, ANSWERS["EINVAL"]), "-n1", plugins=["xdist"]) as run:
        finished = run.finish(0)
        run.expect_nothing_left()
    assert "304 passed" in finished.stdout
    trace = finished.trace()
    assert trace.run["reasons"][0] == f"worker gw0: {protocol.HIDDEN} (since test_sandbox.py::test_sandbox)"
    assert trace.outcomes["test_sandbox.py::test_before"] == "passed"


def test_a_gate_does_not_pass(suite: Suite) -> None:
    profile = suite.folder / "profile.json"
    profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
    with Run(write(suite, ANSWERS["ENOSYS"]), f"--seccomp-profile={profile}", "--seccomp-backend=notify") as run:
        finished = run.finish(pytest.ExitCode.TESTS_FAILED)
        run.expect_nothing_left()
    assert f"{protocol.HIDDEN} (since test_sandbox.py::test_sandbox)" in finished.stdout


@pytest.mark.parametrize("options", [(), ("--seccomp-trace=out.ndjson",)], ids=["policies alone", "trace"])
def test_no_other_test_is_under_the_policy_of_the_one_that_installs_it(suite: Suite, options: tuple[str, ...]) -> None:
    """It cannot be lifted."""
    with Run(write(suite, ANSWERS["EINVAL"], POLICY), *options) as run:
        finished = run.finish()
        run.expect_nothing_left()
    assert f"the policy of this test was not enforced to its end: {protocol.HIDDEN}" in finished.stdout
    assert "1 failed, 1 passed" in finished.stdout
    reason = f"{protocol.HIDDEN}, and its policy may be in force for all that follow"
    assert f"pytest-seccomp: after test_sandbox.py::test_sandbox: {reason}" in finished.stdout


@pytest.mark.parametrize("options", [(), ("--seccomp-trace=out.ndjson",)], ids=["policies alone", "trace"])
def test_a_policy_that_comes_later_fails_its_test(suite: Suite, options: tuple[str, ...]) -> None:
    """It does not hold."""
    suite.write("test_later.py", f"import pytest\n\n{POLICY}\ndef test_later(): pass")
    names = ["test_sandbox.py", "test_later.py"]
    with Run(write(suite, ANSWERS["EINVAL"]), *options, *names) as run:
        finished = run.finish()
        run.expect_nothing_left()
    assert "the policy of this test was not enforced to its end: a filter in the tests hides" in finished.stdout
    assert "test_socket" not in finished.stdout
    assert " 4 passed" in finished.stdout
