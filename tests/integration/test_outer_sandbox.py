"""A sandbox around pytest that denies a call: the run says which one, or does without it, and nothing is left."""

import errno

import pytest
from denying import denied
from logged import ERRNO
from running import Run
from traced import Suite

from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.syscalls import numbers_of


def without(name: str) -> list[str]:
    """The command that runs another without a call."""
    return denied(numbers_of(name, native().audit_arch)[0], ERRNO | errno.EPERM)


@pytest.fixture
def loop(suite: Suite) -> Suite:
    """A test that makes 100 calls."""
    suite.write("test_one.py", "import os\ndef test_one():\n    for _ in range(100): os.getppid()\n")
    return suite


@pytest.mark.needs("listener")
@pytest.mark.parametrize(
    ("call", "backend", "reason"),
    [
        ("socketpair", "auto", "cannot start the recorder: socketpair()"),
        ("sendmsg", "auto", "cannot start the recorder: sendmsg()"),
        ("recvmsg", "audit", "cannot start the recorder: recvmsg()"),
        ("sendto", "notify", "cannot start the recorder: sendall()"),
        ("prlimit64", "notify", "cannot start the recorder: getrlimit()"),
        ("wait4", "notify", "cannot start the recorder: waitpid()"),
        ("clone", "notify", "cannot start the recorder: fork()"),
        ("setsid", "notify", "cannot start the recorder: setsid()"),
        ("pipe2", "notify", "backend notify: pipe()"),
        ("prctl", "notify", "backend notify: prctl()"),
        ("rt_sigprocmask", "notify", "backend notify: pthread_sigmask()"),
        pytest.param("socket", "audit", "backend audit: socket()", marks=pytest.mark.needs("audit")),
    ],
)
def test_what_is_refused_is_named(loop: Suite, call: str, backend: str, reason: str) -> None:
    options = "--seccomp-trace=out.ndjson", f"--seccomp-backend={backend}"
    with Run(loop, *options, before=without(call)) as run:
        finished = run.finish(pytest.ExitCode.USAGE_ERROR)
        run.expect_nothing_left()
    (line,) = [line for line in finished.stderr.splitlines() if line]
    assert line.startswith(f"ERROR: pytest-seccomp: {reason} is refused here (Operation not permitted): allow the ")


@pytest.mark.needs("listener")
@pytest.mark.parametrize("call", ["umask", "link"])
def test_what_it_can_do_without(loop: Suite, call: str) -> None:
    with Run(loop, "--seccomp-trace=out.ndjson", "--seccomp-backend=notify", before=without(call)) as run:
        finished = run.finish(0)
        run.expect_nothing_left()
    trace = finished.trace()
    assert trace.complete, trace.run
    assert trace.test("test_one").phase("call")["getppid"] == 100


@pytest.mark.needs("listener")
def test_no_host_of_sandboxes(suite: Suite) -> None:
    suite.write("test_one.py", "def test_one(seccomp_run): seccomp_run(['true'])\n")
    with Run(suite, before=without("setsid")) as run:
        finished = run.finish(pytest.ExitCode.TESTS_FAILED)
        run.expect_nothing_left()
    assert "SandboxError: cannot start the host of sandboxes: setsid() is refused here" in finished.stdout
