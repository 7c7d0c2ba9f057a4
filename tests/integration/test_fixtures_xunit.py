"""Set-up methods in the styles of xunit and unittest: setup, teardown, or shared.

Each function in a suite here makes a call that nothing else in it makes, so that a phase can be compared as a whole.
"""

import pytest
from traced import Phases, Suite

pytestmark = pytest.mark.needs("listener")


def test_setups_in_the_style_of_xunit(suite: Suite) -> None:
    suite.write(
        "test_xunit.py",
        """
        import os

        def setup_module():
            os.getuid()

        def teardown_module():
            os.getuid()

        def setup_function():
            os.getpgid(0)

        def teardown_function():
            os.getpgid(0)

        class TestClass:
            def setup_class(self):
                os.getgid()

            def teardown_class(self):
                os.getgid()

            def setup_method(self):
                os.getegid()

            def teardown_method(self):
                os.getegid()

            def test_first(self):
                os.getppid()

            def test_second(self):
                os.getppid()

        def test_third():
            os.getppid()
        """,
    )
    method: Phases = {"setup": {"getegid": 1}, "call": {"getppid": 1}, "teardown": {"getegid": 1}}
    assert suite.trace().phases == {
        "test_first": method | {"shared": {"getuid": 1, "getgid": 1}},
        "test_second": method | {"shared": {"getgid": 1}},
        "test_third": {
            "setup": {"getpgid": 1},
            "call": {"getppid": 1},
            "teardown": {"getpgid": 1},
            "shared": {"getuid": 1},
        },
    }


def test_unittest(suite: Suite) -> None:
    suite.write(
        "test_unittest.py",
        """
        import os, unittest

        def setUpModule():
            os.getuid()

        def tearDownModule():
            os.getuid()

        class TestCase(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                os.getgid()
                cls.addClassCleanup(os.geteuid)

            @classmethod
            def tearDownClass(cls):
                os.getgid()

            def setUp(self):
                os.getegid()
                self.addCleanup(os.getpgid, 0)

            def tearDown(self):
                os.getegid()

            def test_first(self):
                os.getppid()

            def test_second(self):
                os.getppid()
        """,
    )
    # unittest runs setUp and tearDown with the test, in its call
    own: Phases = {"call": {"getegid": 2, "getppid": 1, "getpgid": 1}}
    assert suite.trace().phases == {
        "test_first": own | {"shared": {"getuid": 1, "getgid": 1}},
        "test_second": own | {"shared": {"getuid": 1, "getgid": 1, "geteuid": 1}},
    }
