"""Asynchronous tests and fixtures: asyncio through pytest-asyncio, asyncio and trio through anyio's own plugin.

The event loop makes calls of its own in every phase, so a phase is compared by the calls that only the suite makes.
"""

from importlib.metadata import version

import pytest
from traced import Counts, Phases, Suite, Trace

pytestmark = pytest.mark.needs("listener")

ASYNCIO = tuple(map(int, version("pytest-asyncio").split(".")[:2]))

CALLS = ("getppid", "getpgid", "getuid", "getgid")


def made(trace: Trace, name: str) -> Phases:
    """The phases of a test, of the calls that the suites here make."""
    found: dict[str, Counts] = {
        phase: {call: count for call, count in calls.items() if call in CALLS}
        for phase, calls in trace.test(name).phases.items()
    }
    return {phase: calls for phase, calls in found.items() if calls}


def test_pytest_asyncio(suite: Suite) -> None:
    suite.write(
        "test_asyncio.py",
        """
        import asyncio, os, sys
        import pytest, pytest_asyncio

        @pytest_asyncio.fixture
        async def narrow():
            os.getgid()
            await asyncio.sleep(0)
            yield
            os.getgid()

        async def work():
            for _ in range(100):
                os.getppid()
                await asyncio.sleep(0)

        @pytest.mark.asyncio
        async def test_tasks(narrow):
            await asyncio.gather(*(work() for _ in range(10)))

        @pytest.mark.asyncio
        async def test_thread():
            await asyncio.to_thread(lambda: [os.getppid() for _ in range(1000)])

        @pytest.mark.asyncio
        async def test_subprocess():
            program = "import os; [os.getpgid(0) for _ in range(1000)]"
            process = await asyncio.create_subprocess_exec(sys.executable, "-I", "-S", "-c", program)
            assert await process.wait() == 0

        @pytest.mark.asyncio
        async def test_failing():
            os.getppid()
            raise ValueError

        def test_not_async():
            pass
        """,
    )
    trace = suite.trace("--tb=no", plugins=["asyncio"], status=1)
    assert trace.complete
    assert made(trace, "test_tasks") == {"setup": {"getgid": 1}, "call": {"getppid": 1000}, "teardown": {"getgid": 1}}
    assert made(trace, "test_thread") == {"call": {"getppid": 1000}}
    assert made(trace, "test_subprocess") == {"call": {"getpgid": 1000}}
    assert made(trace, "test_failing") == {"call": {"getppid": 1}}
    assert made(trace, "test_not_async") == {}
    assert trace.test("test_failing").outcome == "failed"


@pytest.mark.skipif(ASYNCIO < (0, 24), reason="pytest-asyncio before 0.24 has no loop_scope")
def test_pytest_asyncio_with_a_loop_for_the_module(suite: Suite) -> None:
    suite.write("pytest.ini", "[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    suite.write(
        "test_asyncio.py",
        """
        import asyncio, os
        import pytest, pytest_asyncio

        @pytest_asyncio.fixture(loop_scope="module", scope="module")
        async def wide():
            os.getuid()
            await asyncio.sleep(0)
            yield
            os.getuid()

        @pytest.mark.asyncio(loop_scope="module")
        async def test_wide(wide):
            os.getppid()

        @pytest.mark.asyncio(loop_scope="module")
        async def test_wide_again(wide):
            os.getppid()

        def test_not_async():
            pass
        """,
    )
    trace = suite.trace(plugins=["asyncio"])
    assert trace.complete
    assert made(trace, "test_wide") == {"call": {"getppid": 1}, "shared": {"getuid": 1}}
    assert made(trace, "test_wide_again") == {"call": {"getppid": 1}}
    assert made(trace, "test_not_async") == {"shared": {"getuid": 1}}
    # A loop that a module keeps is set up for the module
    assert "epoll_create1" not in {call for calls in trace.test("test_wide").own.values() for call in calls}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_anyio(suite: Suite, backend: str) -> None:
    suite.write(
        "test_anyio.py",
        f"""
        import os, sys
        import anyio, anyio.to_thread
        import pytest

        pytestmark = pytest.mark.anyio

        @pytest.fixture(scope="module")
        def anyio_backend():
            return "{backend}"

        @pytest.fixture(scope="module")
        async def wide():
            os.getuid()
            await anyio.sleep(0)
            yield
            os.getuid()

        @pytest.fixture
        async def narrow():
            os.getgid()
            await anyio.sleep(0)
            yield
            os.getgid()

        async def work():
            for _ in range(100):
                os.getppid()
                await anyio.sleep(0)

        async def test_tasks(narrow):
            async with anyio.create_task_group() as group:
                for _ in range(10):
                    group.start_soon(work)

        async def test_thread(wide):
            await anyio.to_thread.run_sync(lambda: [os.getppid() for _ in range(1000)])

        async def test_subprocess(wide):
            program = "import os; [os.getpgid(0) for _ in range(1000)]"
            await anyio.run_process([sys.executable, "-I", "-S", "-c", program])

        async def test_last():
            os.getppid()
        """,
    )
    trace = suite.trace(plugins=["anyio"])
    assert trace.complete
    assert made(trace, "test_tasks") == {"setup": {"getgid": 1}, "call": {"getppid": 1000}, "teardown": {"getgid": 1}}
    assert made(trace, "test_thread") == {"call": {"getppid": 1000}, "shared": {"getuid": 1}}
    assert made(trace, "test_subprocess") == {"call": {"getpgid": 1000}}
    assert made(trace, "test_last") == {"call": {"getppid": 1}, "shared": {"getuid": 1}}


def test_an_event_loop_of_the_tests_own(suite: Suite) -> None:
    suite.write(
        "test_own.py",
        """
        import asyncio, os, unittest

        async def work():
            for _ in range(100):
                os.getppid()
                await asyncio.sleep(0)

        def test_run():
            asyncio.run(work())

        class TestCase(unittest.IsolatedAsyncioTestCase):
            async def asyncSetUp(self):
                os.getuid()

            async def test_case(self):
                await work()
        """,
    )
    trace = suite.trace()
    assert made(trace, "test_run") == {"call": {"getppid": 100}}
    assert made(trace, "test_case") == {"call": {"getppid": 100, "getuid": 1}}
