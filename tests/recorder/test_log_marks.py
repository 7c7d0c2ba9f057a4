"""The numbers of markers in the kernel's log, and what pytest's side sends beside them."""

import pytest
from child import output

from pytest_seccomp.linux.architecture import X32_BIT
from pytest_seccomp.linux.syscalls import name_of
from pytest_seccomp.recorder.log_marks import RINGS, first_number


@pytest.mark.parametrize("cookie", [0, 1, 2**28, 2**29 - 2 * RINGS, 2**29 - 2 * RINGS - 1, 2**62 - 1])
def test_no_architecture_has_these_numbers(cookie: int) -> None:
    first, last = first_number(cookie), first_number(cookie) + 2 * RINGS - 1
    assert 2**28 < first < last < X32_BIT
    assert name_of(0xC000003E, first) is None


def test_two_runs_have_others() -> None:
    assert len({first_number(cookie) for cookie in range(1000)}) == 1000


@pytest.mark.needs("audit")
def test_a_thread_that_is_attached() -> None:
    """It tells its session before its first marker, and a boundary before each that rings; markers give ENOSYS."""
    program = """
        import errno, ctypes, os
        from pytest_seccomp.linux import audit_session
        from pytest_seccomp.linux.marked import MarkedCalls
        from pytest_seccomp.recorder.log_marks import attach
        sent = []
        marks = attach(MarkedCalls(5), 5, -1, lambda *message: sent.append(message))
        print(sent == [("attached", audit_session.current())])
        print(marks.mark(7), marks.ring(8), marks.ring(9), sent[1:])
        with open("/proc/self/status") as file:
            print("Seccomp:\\t2" in file.read())
    """
    assert output(program).splitlines() == ["True", "True True True [('boundary', 0, 8), ('boundary', 1, 9)]", "True"]
