"""What pytest reports of failures is the same without tracing and with."""

import re

import pytest
from traced import Finished, Suite

pytestmark = pytest.mark.needs("listener")

BROKEN = """
    import pytest

    @pytest.fixture
    def broken():
        raise RuntimeError("function")

    @pytest.fixture(scope="session")
    def broken_for_all():
        raise RuntimeError("session")

    @pytest.fixture
    def broken_afterwards():
        yield
        raise RuntimeError("teardown")

    @pytest.fixture(scope="module")
    def broken_after_all():
        yield
        raise RuntimeError("teardown of the module")
"""


@pytest.mark.parametrize(
    "options",
    [
        ["--seccomp-trace=out.ndjson"],
        ["--seccomp-deny-log=denied.ndjson", "--seccomp-deny-source=supervised"],
        [],
        ["--seccomp-trace=out.ndjson", "--seccomp-deny-log=denied.ndjson", "--seccomp-deny-source=supervised"],
    ],
    ids=["trace", "deny log", "policy", "all"],
)
def test_failures_are_reported_as_without(suite: Suite, options: list[str]) -> None:
    """No line of ours between those of the suite, whichever of our hooks an error passes through."""
    suite.write("pytest.ini", "[pytest]\nfilterwarnings = error\nmarkers = seccomp: a policy\n")
    suite.write("conftest.py", BROKEN)
    suite.write(
        "test_broken.py",
        """
        import pytest

        pytestmark = pytest.mark.seccomp(deny=["@internet"])

        def test_function(broken): pass
        def test_session(broken_for_all): pass
        def test_afterwards(broken_afterwards): pass
        def test_call(): assert [1] == [2]

        class TestClass:
            @classmethod
            def setup_class(cls):
                raise RuntimeError("class")
            def test_class(self): pass

        def test_last(broken_after_all): pass
        """,
    )
    plain = suite.run(plugins=["no:seccomp"]).expect(1)
    assert _failures(suite.run(*options).expect(1)) == _failures(plain)


def _failures(finished: Finished) -> list[str]:
    """The two sections with reports of what has failed."""
    _, *parts = re.split("^=+ (.+?) =+$", finished.stdout, flags=re.MULTILINE)
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    return [sections["ERRORS"], sections["FAILURES"]]
