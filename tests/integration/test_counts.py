"""In-process loops, threads, forks and subprocesses are counted exactly."""

import pytest
from traced import Suite

pytestmark = pytest.mark.needs("listener")


def test_an_empty_test_has_no_call_and_a_loop_its_number(suite: Suite) -> None:
    suite.write(
        "test_loop.py",
        """
        import os

        def test_empty():
            pass

        def test_loop():
            for _ in range(1000):
                os.getppid()
        """,
    )
    trace = suite.trace()
    assert trace.complete
    assert trace.own == {"test_loop.py::test_empty": {}, "test_loop.py::test_loop": {"call": {"getppid": 1000}}}
