"""Threads that were there before the policies: they are under none, and the run says so."""

import pytest
from policed import MODES
from traced import Suite

pytestmark = pytest.mark.needs("listener")

SAYS = "PolicyWarning: the policies of tests (@pytest.mark.seccomp) do not hold for threads that were there before: "

TESTS = """
    import socket
    import pytest

    @pytest.mark.seccomp(deny=["@internet"])
    @pytest.mark.seccomp_expect_denied("socket")
    def test_one():
        with pytest.raises(PermissionError):
            socket.socket()

    @pytest.mark.seccomp(deny=["@internet"])
    def test_two(): pass
"""

EARLY = """
    import _thread, threading

    lock = _thread.allocate_lock()
    lock.acquire()
    for name in ("sampler", "reader", "reader"):
        threading.Thread(target=lock.acquire, name=name, daemon=True).start()
"""


@pytest.mark.parametrize("options", MODES)
@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_they_are_named_once(suite: Suite, options: list[str], workers: str) -> None:
    """Also where warnings are errors."""
    suite.write("early.py", EARLY)
    suite.write("test_one.py", TESTS)
    settings = {"plugins": ["xdist", "early"], "environment": {"PYTHONPATH": str(suite.folder)}}
    finished = suite.run(*options, workers, "-Werror", **settings).expect(0)  # type: ignore[arg-type]
    assert finished.stdout.count(f"{SAYS}sampler, reader (2 threads): start them in a fixture\n") == 1
    quiet = suite.run(*options, workers, "-k", "nothing", **settings)  # type: ignore[arg-type]
    assert SAYS not in quiet.stdout


@pytest.mark.parametrize("options", MODES)
@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_nothing_is_said_where_there_are_none(suite: Suite, options: list[str], workers: str) -> None:
    """That of execnet is in each worker, and those that come later are under policies."""
    suite.write("test_one.py", TESTS)
    later = EARLY.replace("\n", "\n    ")
    suite.write("conftest.py", f"import pytest\n@pytest.fixture(autouse=True, scope='session')\ndef later():{later}")
    finished = suite.run(*options, workers, plugins=["xdist"]).expect(0)
    assert "do not hold for threads" not in finished.stdout
