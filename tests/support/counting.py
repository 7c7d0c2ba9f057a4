"""A suite whose calls are known, and what its trace has to say, in one process or many."""

import re

from traced import Suite, Trace, without_futex


def counting_suite(suite: Suite) -> Suite:
    """Write twelve tests, in two files and two groups, that make a number of calls of their own each."""
    for name in ("one", "two"):
        suite.write(
            f"test_{name}.py",
            f"""
            import os, pytest

            @pytest.mark.xdist_group("{name}")
            @pytest.mark.parametrize("number", range(6))
            def test_{name}(number):
                for _ in range(100 + number):
                    os.getppid()
            """,
        )
    return suite


def expect_all(trace: Trace, *, times: int = 1) -> None:
    """Each test has its line, `times` where every worker runs all, with exactly its calls."""
    found = sorted(re.sub(r"@.*", "", line.nodeid) for line in trace.tests)
    expected = [f"test_{name}.py::test_{name}[{number}]" for name in ("one", "two") for number in range(6)]
    assert found == sorted(expected * times)
    for line in trace.tests:
        number = int(line.nodeid.partition("[")[2].partition("]")[0])
        assert without_futex(line.own) == {"call": {"getppid": 100 + number}}
        assert line.outcome == "passed"
        assert line.rerun == 0
    assert trace.complete
    assert trace.run["lost"] == 0
    in_tests = 2 * sum(range(100, 106)) * times
    collected = max(line.counts.get("getppid", 0) for line in trace.collections)
    assert trace.counts["getppid"] == in_tests + collected
    (record,) = [record for record in trace.records if record["name"] == "getppid"]
    assert record["tests"] == 12 * times
