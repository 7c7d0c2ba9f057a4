"""Fixtures of every scope: setup, teardown, or shared.

Each function in a suite here makes a call that nothing else in it makes, so that a phase can be compared as a whole.
"""

import pytest
from traced import Phases, Suite

pytestmark = pytest.mark.needs("listener")

SCOPES = """
    import os
    import pytest

    @pytest.fixture(scope="session")
    def session():
        os.getuid()
        yield
        os.getuid(), os.getuid()

    @pytest.fixture(scope="package")
    def package():
        os.geteuid()
        yield
        os.geteuid(), os.geteuid()

    @pytest.fixture(scope="module")
    def module(session, package):
        os.getgid()
        yield
        os.getgid(), os.getgid()

    @pytest.fixture(scope="class")
    def one_class(module):
        os.getegid()
        yield
        os.getegid(), os.getegid()

    @pytest.fixture
    def function(one_class):
        os.getpgid(0)
        yield
        os.getpgid(0), os.getpgid(0)

    class TestOne:
        def test_first(self, function):
            os.getppid()

        def test_second(self, function):
            os.getppid()

    class TestTwo:
        def test_third(self, function):
            os.getppid()

    def test_none():
        pass
"""

OWN: Phases = {"setup": {"getpgid": 1}, "call": {"getppid": 1}, "teardown": {"getpgid": 2}}


def test_fixtures_of_every_scope(suite: Suite) -> None:
    suite.write("test_scopes.py", SCOPES)
    assert suite.trace().phases == {
        "test_first": OWN | {"shared": {"getuid": 1, "geteuid": 1, "getgid": 1, "getegid": 1}},
        "test_second": OWN | {"shared": {"getegid": 2}},
        "test_third": OWN | {"shared": {"getegid": 3}},
        "test_none": {"shared": {"getuid": 2, "geteuid": 2, "getgid": 2}},
    }


@pytest.mark.parametrize("name", ["test_first", "test_second", "test_third"])
def test_one_test_alone_has_the_same_trace_of_its_own(suite: Suite, name: str) -> None:
    suite.write("test_scopes.py", SCOPES)
    shared = {"getuid": 3, "geteuid": 3, "getgid": 3, "getegid": 3}
    assert suite.trace("-k", name).phases == {name: OWN | {"shared": shared}}


def test_finalizers(suite: Suite) -> None:
    suite.write(
        "test_finalizers.py",
        """
        import os
        import pytest

        @pytest.fixture(scope="module")
        def wide(request):
            request.addfinalizer(lambda: [os.getuid() for _ in range(2)])
            request.addfinalizer(lambda: [os.getuid() for _ in range(20)])
            os.getuid()

        @pytest.fixture
        def narrow(request, wide):
            request.addfinalizer(lambda: [os.getgid() for _ in range(2)])
            request.addfinalizer(lambda: [os.getgid() for _ in range(20)])
            os.getgid()

        def test_first(narrow):
            pass

        def test_last(narrow, request):
            request.addfinalizer(os.getppid)
        """,
    )
    own: Phases = {"setup": {"getgid": 1}, "teardown": {"getgid": 22}}
    assert suite.trace().phases == {
        "test_first": own | {"shared": {"getuid": 1}},
        "test_last": {"setup": {"getgid": 1}, "teardown": {"getgid": 22, "getppid": 1}, "shared": {"getuid": 22}},
    }


def test_a_finalizer_that_a_test_adds_for_others_too_is_shared(suite: Suite) -> None:
    suite.write(
        "test_finalizers.py",
        """
        import os
        import pytest

        @pytest.fixture(scope="module")
        def wide(request):
            os.getuid()
            yield request.addfinalizer
            os.getuid()

        def test_first(wide, request):
            wide(os.getgid)
            request.session.addfinalizer(os.getegid)
            os.getppid()

        def test_last():
            pass
        """,
    )
    assert suite.trace().phases == {
        "test_first": {"call": {"getppid": 1}, "shared": {"getuid": 1}},
        "test_last": {"shared": {"getuid": 1, "getgid": 1, "getegid": 1}},
    }


def test_a_wider_fixture_that_is_first_asked_for_in_the_call(suite: Suite) -> None:
    suite.write(
        "test_late.py",
        """
        import os
        import pytest

        @pytest.fixture(scope="session")
        def outer():
            os.getuid()
            yield
            os.getuid()

        @pytest.fixture(scope="module")
        def inner(request):
            os.getgid()
            request.getfixturevalue("outer")
            os.getgid()

        @pytest.fixture
        def narrow():
            os.getpgid(0)

        def test_late(request):
            os.getppid()
            request.getfixturevalue("inner")
            os.getppid()
            request.getfixturevalue("narrow")
            os.getppid()
        """,
    )
    assert suite.trace().phases == {
        "test_late": {"call": {"getppid": 3, "getpgid": 1}, "shared": {"getuid": 2, "getgid": 2}}
    }


def test_a_parametrized_session_fixture_is_set_up_again_in_the_middle(suite: Suite) -> None:
    suite.write(
        "test_parametrized.py",
        """
        import os
        import pytest

        @pytest.fixture(scope="session", params=[1, 2])
        def wide(request):
            for _ in range(request.param):
                os.getuid()
            yield
            for _ in range(10 * request.param):
                os.getuid()

        @pytest.fixture(scope="session")
        def on_top(wide):
            os.getgid()
            yield
            os.getgid(), os.getgid()

        def test_first(on_top):
            os.getppid()

        def test_second(on_top):
            os.getppid()
        """,
    )
    call: Phases = {"call": {"getppid": 1}}
    # The second parameter's set-up tears down what the first has set up, in the set-up of a test
    assert suite.trace().phases == {
        "test_first[1]": call | {"shared": {"getuid": 1, "getgid": 1}},
        "test_second[1]": call,
        "test_first[2]": call | {"shared": {"getuid": 10 + 2, "getgid": 2 + 1}},
        "test_second[2]": call | {"shared": {"getuid": 20, "getgid": 2}},
    }


def test_setups_and_teardowns_that_fail(suite: Suite) -> None:
    suite.write(
        "test_failing.py",
        """
        import os
        import pytest

        @pytest.fixture(scope="module")
        def breaks_setup():
            os.getuid()
            raise ValueError

        @pytest.fixture(scope="class")
        def breaks_teardown():
            os.getgid()
            yield
            os.getgid()
            raise ValueError

        @pytest.fixture(scope="class")
        def skips():
            os.getegid()
            pytest.skip("not here")

        class TestSetup:
            def test_first(self, breaks_setup):
                os.getppid()

            def test_second(self, breaks_setup):
                os.getppid()

        class TestTeardown:
            def test_third(self, breaks_teardown):
                os.getppid()

        class TestSkip:
            def test_fourth(self, skips):
                os.getppid()

        def test_after():
            os.getppid()
        """,
    )
    trace = suite.trace("--tb=no", status=1)
    # The second test asks again: pytest keeps the failure of a fixture and raises it once more
    assert {name: without_imports(found) for name, found in trace.phases.items()} == {
        "test_first": {"shared": {"getuid": 1}},
        "test_second": {},
        "test_third": {"call": {"getppid": 1}, "shared": {"getgid": 2}},
        "test_fourth": {"shared": {"getegid": 1}},
        "test_after": {"call": {"getppid": 1}},
    }
    assert list(trace.outcomes.values()) == ["error", "error", "error", "skipped", "passed"]


def without_imports(found: Phases) -> Phases:
    """Only calls that are no part of reading a file, which a traceback and a late import do."""
    left = {
        phase: {call: count for call, count in calls.items() if call.startswith("get")}
        for phase, calls in found.items()
    }
    return {phase: calls for phase, calls in left.items() if calls}


def test_autouse(suite: Suite) -> None:
    suite.write(
        "conftest.py",
        """
        import os
        import pytest

        @pytest.fixture(scope="session", autouse=True)
        def wide():
            os.getuid()
            yield
            os.getuid()

        @pytest.fixture(autouse=True)
        def narrow():
            os.getgid()
            yield
            os.getgid()
        """,
    )
    suite.write("test_autouse.py", "def test_first(): pass\ndef test_last(): pass\n")
    own: Phases = {"setup": {"getgid": 1}, "teardown": {"getgid": 1}}
    assert suite.trace().phases == {
        "test_first": own | {"shared": {"getuid": 1}},
        "test_last": own | {"shared": {"getuid": 1}},
    }
