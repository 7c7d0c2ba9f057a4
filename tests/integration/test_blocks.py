"""The fixture seccomp_trace: exactly the calls of a block, in every kind of run."""

import json

import kmsg_runs
import pytest
from policed import MODES, passed, told
from traced import Suite

pytestmark = pytest.mark.needs("listener")

BLOCKS = """
    import os, socket, subprocess, sys, threading
    import pytest
    import pytest_seccomp.errors

    def calls(number):
        for _ in range(number):
            os.getppid()

    def test_exactly_its_calls(seccomp_trace):
        calls(7)
        with seccomp_trace() as trace:
            calls(1000)
        calls(7)
        assert dict(trace) == {"getppid": 1000}
        assert trace.complete and trace.reasons == []
        assert "getppid" in trace and "x86_64:getppid" in trace or os.uname().machine != "x86_64"
        assert "socket" not in trace and "257" not in trace and 257 not in trace
        assert trace[next(iter(trace.seen.items_by_call()))[0].number] == 1000
        with pytest.raises(pytest_seccomp.errors.SeccompError, match="write `with seccomp_trace"):
            with seccomp_trace:
                pass

    def test_an_empty_one(seccomp_trace):
        with seccomp_trace() as trace:
            pass
        assert dict(trace) == {} and len(trace) == 0

    def test_threads_and_children(seccomp_trace):
        with seccomp_trace() as trace:
            child = os.fork()
            if not child:
                calls(300)
                os._exit(0)
            os.waitpid(child, 0)
            thread = threading.Thread(target=calls, args=(20,))
            thread.start()
            thread.join()
            subprocess.run([sys.executable, "-c", "import os; os.getppid(), os.getppid()"], check=True)
        assert trace["getppid"] == 322
        assert trace["execve"] == 1

    def test_one_in_another_and_one_after_another(seccomp_trace):
        with seccomp_trace() as outer:
            calls(1)
            with seccomp_trace() as inner:
                calls(2)
            calls(4)
        with seccomp_trace() as next_one:
            calls(8)
        assert (outer["getppid"], inner["getppid"], next_one["getppid"]) == (7, 2, 8)

    @pytest.fixture
    def around(seccomp_trace):
        with seccomp_trace() as trace:
            calls(1)
            yield trace
            calls(4)
        assert dict(trace) == {"getppid": 7}

    def test_around_a_test(around):
        calls(2)

    @pytest.mark.seccomp_expect_denied("socket")
    @pytest.mark.seccomp(deny=["@internet"])
    def test_what_is_denied_is_not_made(seccomp_trace):
        with seccomp_trace() as trace:
            with pytest.raises(PermissionError):
                socket.socket()
            calls(3)
        assert "socket" not in trace and trace["getppid"] == 3
        with seccomp_trace() as trace:
            one, two = socket.socketpair()
            socket.socket(socket.AF_UNIX).close()
        assert trace["socket"] == 1 and trace["socketpair"] == 1
        one.close(), two.close()

    def test_an_exception_ends_it(seccomp_trace):
        with pytest.raises(ZeroDivisionError):
            with seccomp_trace() as trace:
                calls(5)
                1 / 0
        assert trace["getppid"] == 5
"""


@pytest.mark.parametrize("options", MODES)
@pytest.mark.parametrize("workers", ["0", "2"])
def test_blocks(suite: Suite, options: list[str], workers: str) -> None:
    text = BLOCKS if workers == "0" else BLOCKS.replace("dict(trace) ==", "without_futex(trace) ==")
    # In a worker execnet's thread wakes up at any time and wants the GIL
    suite.write(
        "test_blocks.py",
        text
        + """
    def without_futex(trace):
        return {call: count for call, count in trace.items() if call != "futex"}
""",
    )
    finished = suite.run("-rA", "-n", workers, *options, plugins=["xdist"]).expect(0)
    assert len(passed(finished)) == 7, finished.output
    if options:
        assert finished.trace().complete


def test_without_a_trace_policies_and_blocks_together(suite: Suite) -> None:
    """Asked of all calls, the one recorder serves both; tests that ask for nothing are not told of."""
    suite.write(
        "test_one.py",
        """
        import socket
        import pytest

        def test_plain():
            socket.socket().close()

        @pytest.mark.seccomp(deny=["@internet"])
        def test_denied():
            with pytest.raises(PermissionError):
                socket.socket()

        def test_block(seccomp_trace):
            with seccomp_trace() as trace:
                socket.socket().close()
            assert dict(trace) == {"socket": 1, "close": 1}

        def test_asked_for_while_it_runs(request):
            with request.getfixturevalue("seccomp_trace")() as trace:
                socket.socket().close()
            assert dict(trace) == {"socket": 1, "close": 1}
        """,
    )
    finished = suite.run("-rA").expect(1)
    assert passed(finished) == ["test_plain", "test_block", "test_asked_for_while_it_runs"]
    assert told(finished, "test_denied").startswith("seccomp denied socket to ")


def test_what_cannot_be_asked(suite: Suite) -> None:
    suite.write(
        "test_one.py",
        """
        import os, re
        import pytest
        from pytest_seccomp.errors import RecorderError, SeccompError

        def test_misspelt(seccomp_trace):
            with seccomp_trace() as trace:
                pass
            with pytest.raises(SeccompError, match="no system call is named 'sokcet': did you mean socket"):
                assert "sokcet" not in trace

        def test_before_its_end(seccomp_trace):
            with seccomp_trace() as trace:
                with pytest.raises(RecorderError, match="the block has not ended"):
                    assert "socket" not in trace
                assert repr(trace) == "<seccomp_trace() that has not ended>" and not trace.complete

        def test_twice(seccomp_trace):
            block = seccomp_trace()
            with block:
                pass
            with pytest.raises(RecorderError, match="this block has been used"):
                with block:
                    pass

        def test_in_a_child(seccomp_trace):
            child = os.fork()
            if not child:
                try:
                    with seccomp_trace():
                        os._exit(1)
                except RecorderError:
                    os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7

        open_blocks = []

        def test_that_it_ends_in_another_test(seccomp_trace):
            block = seccomp_trace()
            block.__enter__()
            open_blocks.append(block)

        def test_after(seccomp_trace):
            block = open_blocks.pop()
            block.__exit__(None, None, None)
            assert not block.complete and dict(block.seen) == {}
            with pytest.raises(RecorderError, match="it went on after the run of the test in which it began"):
                assert "socket" not in block
        """,
    )
    for options in ([], ["--seccomp-trace=out.ndjson", "--seccomp-backend=notify"]):
        finished = suite.run("-rA", *options).expect(0)
        assert len(passed(finished)) == 6


def test_where_no_test_has_named_it(suite: Suite) -> None:
    suite.write("test_one.py", "def test_one(request):\n    request.getfixturevalue('seccomp_trace')()\n")
    finished = suite.run().expect(1)
    assert "seccomp_trace: nothing records this run: name seccomp_trace among the arguments" in finished.stdout
    suite.run("--seccomp-trace=out.ndjson", "--seccomp-backend=notify").expect(0)


@pytest.mark.needs("kmsg")
def test_where_calls_are_missing_nothing_passes_for_that(suite: Suite) -> None:
    kmsg_runs.skip_unless_printing()
    suite.write(
        "test_one.py",
        """
        import os
        import pytest
        from pytest_seccomp.errors import RecorderError

        def test_many(seccomp_trace):
            with seccomp_trace() as trace:
                for _ in range(5000):
                    os.getppid()
            assert not trace.complete
            assert trace.reasons == ["the backend kmsg has lost some"]
            with pytest.raises(RecorderError, match="calls of the block may be missing: the backend kmsg"):
                assert "socket" not in trace
            with pytest.raises(RecorderError):
                trace["getppid"]
            assert trace.seen.get("getppid", 0) < 5000
        """,
    )
    kmsg_runs.run(suite)


@pytest.mark.parametrize("options", MODES[1:])
def test_blocks_are_in_the_trace_of_the_test_as_well(suite: Suite, options: list[str]) -> None:
    suite.write(
        "test_one.py",
        """
        import os

        def test_one(seccomp_trace):
            os.getppid()
            with seccomp_trace():
                os.getppid()
        """,
    )
    trace = suite.run(*options).expect(0).trace()
    assert trace.complete
    (line,) = trace.tests
    assert line.own == {"call": {"getppid": 2}}, json.dumps(line.members)


@pytest.mark.parametrize("options", MODES)
def test_blocks_in_threads(suite: Suite, options: list[str]) -> None:
    """Several threads may ask at once; each block counts at least its own calls."""
    suite.write(
        "test_one.py",
        """
        import os, threading

        def test_one(seccomp_trace):
            wrong = []

            def work():
                for _ in range(20):
                    with seccomp_trace() as trace:
                        for _ in range(10):
                            os.getppid()
                    if not trace.complete or trace["getppid"] < 10:
                        wrong.append(trace)

            threads = [threading.Thread(target=work) for _ in range(4)]
            with seccomp_trace() as all_of_it:
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
            assert wrong == []
            assert all_of_it["getppid"] == 4 * 20 * 10
        """,
    )
    suite.run(*options).expect(0)
