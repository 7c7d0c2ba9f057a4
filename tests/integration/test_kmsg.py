"""Whole runs under the kmsg backend: nearly nothing is printed of them, and they say how much is missing."""

import subprocess
import sys
import uuid

import pytest
from kmsg_runs import KMSG, run, skip_unless_printing
from running import until
from traced import Finished, Suite

pytestmark = pytest.mark.needs("kmsg", "audit")

CALLS = 100_000

FOUR_PROCESSES = f"""
    import os, subprocess, sys

    CALLS = "import os\\nfor _ in range({CALLS // 4}): os.getppid()"

    def test_four():
        children = [subprocess.Popen([sys.executable, "-I", "-S", "-c", CALLS]) for _ in range(4)]
        assert [child.wait() for child in children] == [0] * 4

    def test_empty():
        pass
"""


@pytest.fixture(autouse=True)
def printing() -> None:
    """The kernel prints its records."""
    skip_unless_printing()


def test_100_000_calls_are_incomplete_and_their_number_is_told(suite: Suite) -> None:
    suite.write("test_four.py", FOUR_PROCESSES)

    def counted() -> Finished | None:
        """One whose last marker was printed, though others' were, too."""
        found = run(suite)
        return None if found.trace().run["lost"] is None else found

    finished = until("a run whose end is printed", counted)
    assert finished is not None
    trace = finished.trace()
    lost = trace.run["lost"]
    assert not trace.complete
    assert not trace.test("test_four").complete
    counted_calls = sum(sum(line.counts.values()) for line in (*trace.tests, *trace.collections, *trace.harnesses))
    assert lost + counted_calls > CALLS
    assert any(f"{lost:,} audit records were not printed" in reason for reason in trace.run["reasons"])
    assert f"{lost:,} audit records were not printed" in finished.stdout
    assert "use the backend notify or audit" in finished.stdout
    assert "system calls: kmsg, INCOMPLETE" in finished.stdout


def expect_warning(header: str) -> None:
    """What is said before the run."""
    assert "seccomp: backend kmsg, trace to out.ndjson" in header
    assert "seccomp: lossy by nature: the kernel prints 10 records in 5 s (printk_ratelimit)" in header
    assert "seccomp: notify needs no privilege, and audit only CAP_AUDIT_READ: both miss nothing" in header


def test_an_xdist_controller_says_before_the_run_that_it_is_lossy(suite: Suite) -> None:
    suite.write("test_one.py", "def test_one():\n    pass\n")

    def finished() -> Finished | None:
        """The worker has its own check, which may find no room."""
        found = suite.run("--seccomp-trace=out.ndjson", KMSG, "-n1", plugins=["xdist"])
        return None if "of other processes" in found.output else found

    found = until("a run of which something is printed", finished)
    assert found is not None
    expect_warning(found.stdout.partition("1 worker")[0])
    assert not found.expect(0).trace().complete


def test_it_warns_and_a_forged_line_is_nobodys_call_and_a_gate_refuses_the_trace(suite: Suite) -> None:
    """The test writes lines like the kernel's to the log, in its own name."""
    number = uuid.uuid4().int % 10**6 + 10**8
    suite.write(
        "test_forging.py",
        f"""
        import os

        def test_forging():
            ses = open("/proc/self/sessionid").read()
            with open("/dev/kmsg", "wb", buffering=0) as file:
                for serial in range(1, 50):
                    file.write((
                        f"<5>audit: type=1326 audit(1795473200.693:{{serial}}): auid=0 uid=0 gid=0 ses={{ses}} "
                        f"pid={{os.getpid()}} comm=\\"python\\" exe=\\"/bin/python\\" sig=0 arch=c000003e "
                        "syscall={number} compat=0 ip=0x1 code=0x7ffc0000\\n"
                    ).encode())
        """,
    )
    finished = run(suite)
    expect_warning(finished.stdout.partition("collected 1 item")[0])
    trace = finished.trace()
    assert [line.outcome for line in trace.tests] == ["passed"]
    calls = {number for line in (*trace.tests, *trace.collections, *trace.harnesses) for number in line.counts}
    assert str(number) not in calls
    assert not trace.complete
    assert all(record["complete"] is False for record in trace.records)
    same = subprocess.run(
        [sys.executable, "-m", "pytest_seccomp", "diff", trace.path, trace.path], capture_output=True, text=True
    )
    assert same.returncode == 2
    assert "out.ndjson is incomplete" in same.stderr
