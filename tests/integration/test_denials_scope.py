"""Whose denials count: those of this run's tests and what they start, and of whom a test names, and nobody else's."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from denylog import DENIED, NUMBERS, SUPPORT, DenyLog, watched
from running import Run
from traced import Suite

pytestmark = pytest.mark.needs("audit")

SERVER = f"""
import os, sys
sys.path.append({SUPPORT!r})
import denying, logged
denying.install(logged.ERRNO | 1, {NUMBERS.get("socket", -1)})
print(os.getpid(), flush=True)
while True:
    with open("to") as to:
        to.read()
    denying.call({NUMBERS.get("socket", -1)})
    with open("back", "w") as back:
        back.write("denied")
"""
"""A process that is not of the run: whenever somebody opens the pipe `to`, it is denied a socket."""

ASK = """
def ask():
    # Has the server denied a socket; returns when that has happened
    open("to", "w").close()
    with open("back") as back:
        assert back.read() == "denied"
"""


@pytest.fixture
def server(suite: Suite) -> Iterator[int]:
    """The server's pid; tests in the suite's folder talk to it through two named pipes."""
    for name in ("to", "back"):
        os.mkfifo(suite.folder / name)
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True, cwd=suite.folder, process_group=0
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        os.killpg(process.pid, signal.SIGKILL)


def test_what_is_not_ours_never_counts(suite: Suite, server: int) -> None:
    suite.write("test_server.py", ASK + "def test_server(): ask()\n")
    _, log = watched(suite, status=0)
    assert log.records == []
    assert log.complete


@pytest.mark.parametrize("options", [("-n0",), ("-n1",)], ids=["alone", "xdist"])
def test_a_process_that_a_test_names_counts_from_then_on(suite: Suite, server: int, options: tuple[str, ...]) -> None:
    suite.write(
        "test_server.py",
        ASK
        + f"""
def test_before(): ask()

def test_watched(seccomp_watch):
    with seccomp_watch({server}):
        ask()

def test_after(): ask()

def test_until_closed(seccomp_watch):
    ask()
    target = seccomp_watch({server})
    ask()
    target.close()
    ask()
""",
    )
    _, log = watched(suite, *options, plugins=["xdist"], status=1)
    assert log.places == {("test_watched", "call", "socket"): 1, ("test_until_closed", "call", "socket"): 1}


def test_to_the_end_of_the_session(suite: Suite, server: int) -> None:
    suite.write(
        "test_server.py",
        ASK
        + f"""
import pytest

@pytest.fixture(scope="session", autouse=True)
def watched(seccomp_watch):
    seccomp_watch({server})
    yield
    ask()

def test_server(): ask()
""",
    )
    _, log = watched(suite, status=1)
    assert log.places == {("test_server", "call", "socket"): 1, ("test_server", "teardown", "socket"): 1}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("2**22 + 1", "seccomp_watch(4194305): no process"),
        ("os.getppid(), '/no/such'", ", cgroup='/no/such'): "),
        ("'1'", "seccomp_watch('1'): a pid is a number"),
    ],
)
def test_what_is_not_there_is_an_error(suite: Suite, arguments: str, text: str) -> None:
    suite.write("test_none.py", f"import os\ndef test_none(seccomp_watch): seccomp_watch({arguments})\n")
    finished, _ = watched(suite, status=1)
    assert text in finished.stdout


@pytest.mark.parametrize("arguments", ["2**22 + 1", "os.getpid(), '/no/such'", "1, cgroup='x'"])
def test_without_a_deny_log_the_fixture_does_nothing(suite: Suite, arguments: str) -> None:
    suite.write(
        "test_none.py",
        f"""
        import os
        def test_none(seccomp_watch):
            with seccomp_watch({arguments}): pass
            seccomp_watch({arguments}).close()
        """,
    )
    suite.run(python=["-W", "error"]).expect(0)


def test_two_runs_at_the_same_time_do_not_see_each_other(suite: Suite) -> None:
    """Each is denied while the other is in the middle of its test."""
    suite.write(
        "test_meeting.py",
        DENIED
        + """
def test_meeting():
    mine, other = os.environ["MINE"], os.environ["OTHER"]
    for step in ("here", "denied"):
        if step == "denied":
            denied(number={"one": SOCKET, "two": BIND}[mine])
        pathlib.Path(mine + step).touch()
        while not os.path.exists(other + step):
            time.sleep(0.01)
""",
    )
    with (
        Run(suite, "--seccomp-deny-log=one.ndjson", environment={"MINE": "one", "OTHER": "two"}) as one,
        Run(suite, "--seccomp-deny-log=two.ndjson", environment={"MINE": "two", "OTHER": "one"}) as two,
    ):
        one.finish(1)
        two.finish(1)
    logs = [DenyLog.read(suite.folder / f"{name}.ndjson") for name in ("one", "two")]
    assert all(log.complete for log in logs)
    assert [log.places for log in logs] == [
        {("test_meeting", "call", "socket"): 1},
        {("test_meeting", "call", "bind"): 1},
    ]


def test_what_was_denied_before_the_run_does_not_count(suite: Suite) -> None:
    suite.write("test_one.py", "def test_one(): pass\n")
    code = f"import sys; sys.path.append({SUPPORT!r}); import denying, os; denying.child(); "
    code += "os.execvp(sys.argv[1], sys.argv[1:])"
    finished = suite.run("--seccomp-deny-log=denied.ndjson", before=[sys.executable, "-c", code]).expect(0)
    assert DenyLog.read(suite.folder / "denied.ndjson").records == []
    assert "seccomp denials: none" in finished.stdout


def test_the_path_of_an_executable_that_is_gone(suite: Suite, tmp_path: Path) -> None:
    """As the kernel says it."""
    suite.write(
        "test_gone.py",
        DENIED
        + """
import shutil, subprocess

def test_gone(tmp_path):
    code = f"import sys; sys.path.append({sys.path[-1]!r}); import os, denying; os.unlink(sys.argv[1]); denying.child()"
    copy = shutil.copy(os.path.realpath(sys.executable), tmp_path / "copy of python")
    subprocess.run([copy, "-c", code, copy], check=True, env={**os.environ, "PYTHONHOME": sys.base_prefix})
""",
    )
    _, log = watched(suite, status=1)
    (record,) = log.records
    assert record["exe"].endswith("/copy of python (deleted)")
