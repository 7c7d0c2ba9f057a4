"""For whom a call counts: a test, the collection or the harness; and that a test's own calls stay its own.

Each function in a suite here makes a call that nothing else in it makes, so that a phase can be compared as a whole.
"""

import pytest
from traced import Phases, Suite, Trace, without_futex

pytestmark = pytest.mark.needs("listener")


def test_collection_and_harness(suite: Suite) -> None:
    suite.write(
        "conftest.py",
        """
        import os

        for _ in range(100):
            os.getpgid(0)

        def pytest_collection_modifyitems():
            for _ in range(200):
                os.getpgid(0)

        def pytest_sessionstart():
            for _ in range(1000):
                os.getpgid(0)

        def pytest_runtest_logreport():
            for _ in range(10):
                os.getpgid(0)
        """,
    )
    suite.write("part/conftest.py", "import os\nfor _ in range(400): os.getpgid(0)\n")
    suite.write("part/test_part.py", "import os\nfor _ in range(800): os.getpgid(0)\ndef test_part(): os.getpgid(0)\n")
    trace = suite.trace()
    assert trace.collections[0].counts["getpgid"] == 1500
    assert trace.harnesses[0].counts["getpgid"] == 1030
    assert trace.test("test_part").phases == {"call": {"getpgid": 1}}
    record = next(record for record in trace.records if record["name"] == "getpgid")
    assert (record["count"], record["tests"], record["collection"]) == (1501, 1, 1500)


@pytest.mark.parametrize("ini", ["addopts = -p other", ""], ids=["registered before ours", "registered after ours"])
def test_what_plugins_do_around_loading_conftests_is_the_harnesss(suite: Suite, ini: str) -> None:
    suite.write("pytest.ini", f"[pytest]\n{ini}\n")
    suite.write(
        "other.py",
        """
        import os
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_load_initial_conftests():
            os.getpgid(0)
            yield
            os.getpgid(0)
        """,
    )
    suite.write("conftest.py", "import os\nfor _ in range(100): os.getpgid(0)\n")
    suite.write("test_one.py", "def test_one(): pass\n")
    trace = suite.trace(plugins=[] if ini else ["other"])
    assert trace.collections[0].counts["getpgid"] == 100
    assert trace.harnesses[0].counts["getpgid"] == 2


def test_every_worker_collects_the_same_and_it_counts_once(suite: Suite) -> None:
    suite.write("conftest.py", "import os\nfor _ in range(100): os.getpgid(0)\n")
    suite.write("test_one.py", "import os\nfor _ in range(50): os.getpgid(0)\ndef test_one(): os.getpgid(0)\n")
    trace = suite.trace("-n", "2", plugins=["xdist"])
    assert [line.worker for line in trace.tests] in (["gw0"], ["gw1"])
    assert sorted(str(line.worker) for line in trace.collections) == ["gw0", "gw1"]
    assert [line.counts["getpgid"] for line in trace.collections] == [150, 150]
    assert trace.counts["getpgid"] == 151


@pytest.mark.parametrize("mode", ["--capture=fd", "--capture=sys", "--capture=tee-sys", "--capture=no", "-s"])
def test_no_way_to_capture_is_in_a_tests_trace(suite: Suite, mode: str) -> None:
    suite.write("test_one.py", "import os\ndef test_one(): pass\ndef test_two(): os.getppid()\n")
    assert suite.trace(mode).phases == {"test_one": {}, "test_two": {"call": {"getppid": 1}}}


def test_a_child_that_lives_on_counts_for_the_test_that_is_running(suite: Suite) -> None:
    suite.write(
        "test_child.py",
        """
        import os

        START, DONE = os.pipe(), os.pipe()
        CHILDREN = []

        def test_starts_it():
            pid = os.fork()
            if not pid:
                for _ in range(100):
                    os.getuid()
                os.write(DONE[1], b"1")
                os.read(START[0], 1)
                for _ in range(200):
                    os.getuid()
                os._exit(0)
            os.read(DONE[0], 1)
            CHILDREN.append(pid)

        def test_in_between():
            pass

        def test_goes_on_with_it():
            os.write(START[1], b"1")
            os.waitpid(CHILDREN.pop(), 0)
        """,
    )
    trace = suite.trace()
    assert trace.test("test_starts_it").phase("call")["getuid"] == 100
    assert "getuid" not in trace.test("test_in_between").counts  # the child may begin to read only now
    assert trace.test("test_goes_on_with_it").phase("call")["getuid"] == 200


def test_doctests(suite: Suite) -> None:
    suite.write(
        "module.py",
        '''
        """
        >>> import os
        >>> [os.getppid() for _ in range(3)] == 3 * [os.getppid()]
        True
        """
        ''',
    )
    suite.write("text.txt", ">>> import os\n>>> [os.getpgid(0) for _ in range(3)] == 3 * [os.getpgid(0)]\nTrue\n")
    trace = suite.trace("--doctest-modules", "--doctest-glob=*.txt")
    # Around them are calls of doctest itself, and of pytest, which asks for the platform
    assert trace.test("module.py::module").phase("call")["getppid"] == 4
    assert trace.test("text.txt::text.txt").phase("call")["getpgid"] == 4


def test_subtests(suite: Suite) -> None:
    pytest.importorskip("_pytest.subtests", reason="subtests are a part of pytest 9")
    suite.write(
        "test_subtests.py",
        """
        import os, unittest

        def test_fixture(subtests):
            for number in range(3):
                with subtests.test(number=number):
                    os.getppid()
                    assert number != 1

        class TestCase(unittest.TestCase):
            def test_case(self):
                for number in range(3):
                    with self.subTest(number=number):
                        os.getppid()
        """,
    )
    trace = suite.trace("--tb=no", status=1)
    assert len(trace.tests) == 2
    assert trace.test("test_fixture").phase("call")["getppid"] == 3
    assert trace.test("test_case").phase("call")["getppid"] == 3
    assert trace.outcomes == {
        "test_subtests.py::test_fixture": "failed",
        "test_subtests.py::TestCase::test_case": "passed",
    }


ORDINARY = """
    import json, os, socket, sqlite3, subprocess, sys, tempfile, threading
    import pytest

    @pytest.fixture(scope="session")
    def database(tmp_path_factory):
        connection = sqlite3.connect(tmp_path_factory.mktemp("database") / "file")
        connection.execute("create table names (name text)")
        yield connection
        connection.close()

    @pytest.fixture(scope="module")
    def server():
        with socket.create_server(("127.0.0.1", 0)) as listening:
            yield listening

    @pytest.fixture
    def client(server):
        with socket.create_connection(server.getsockname()) as connected:
            accepted, _ = server.accept()
            with accepted:
                yield connected, accepted

    def test_socket(client):
        client[0].sendall(b"text")
        assert client[1].recv(10) == b"text"

    def test_file(tmp_path):
        (tmp_path / "file").write_text("text")
        assert os.listdir(tmp_path) == ["file"]

    def test_another_file(tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with open("file", "w") as file:
            json.dump([1, 2], file)

    def test_temporary():
        with tempfile.TemporaryDirectory() as folder:
            assert os.listdir(folder) == []

    def test_database(database):
        with database:
            database.execute("insert into names values ('name')")

    @pytest.mark.parametrize("number", [1, 2])
    def test_output(capfd, number):
        print("text", flush=True)
        assert capfd.readouterr().out == "text\\n"

    def test_program():
        subprocess.run(["/bin/true"], check=True)

    def test_failing(tmp_path):
        assert not os.listdir(tmp_path), "message"
        raise ValueError

    @pytest.mark.skip
    def test_skipped():
        pass

    def test_empty():
        pass
"""


def test_no_order_selection_or_worker_changes_a_tests_own_trace(suite: Suite) -> None:
    suite.write("test_ordinary.py", ORDINARY)
    suite.write(
        "conftest.py",
        """
        import os

        def pytest_collection_modifyitems(items):
            if "REVERSED" in os.environ:
                items.reverse()
                items.sort(key=lambda item: item.path.parent.name != "aaa")
        """,
    )
    # The first test that does something for the first time in a process pays for what Python keeps for the others,
    # such as a module that is imported when it is needed: so every run begins with all of it in a module of its own
    suite.write("aaa/test_first_time.py", ORDINARY)
    base = suite.folder.parent / "base"
    base.mkdir()
    # A worker's temporary folders are one level deeper, and resolving a path makes a call for each level
    usual = suite.trace("--basetemp", str(base / "deeper"), status=1)
    reverse = suite.trace("--basetemp", str(base / "deeper"), status=1, environment={"REVERSED": "1"})
    each = ("-n", "2", "--dist", "each", "--basetemp", str(base))
    split = suite.trace(*each, plugins=["xdist"], status=1)
    expected = own(usual, None)
    assert sorted(set(usual.outcomes.values()), key=str) == ["failed", "passed", "skipped"]
    assert len(expected) == 11
    assert own(reverse, None) == expected
    assert own(split, "gw0") == expected
    assert own(split, "gw1") == expected


def own(trace: Trace, worker: str | None) -> dict[str, Phases]:
    """Own traces of the tests that are to be compared, by one worker."""
    return {
        line.nodeid: without_futex(line.own)
        for line in trace.tests
        if line.worker == worker and not line.nodeid.startswith("aaa/")
    }
