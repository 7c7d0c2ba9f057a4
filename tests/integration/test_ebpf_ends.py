"""The end of a recorder, of pytest and of a worker under `ebpf`: its programs go, and what they counted is there."""

import marshal

import pytest
from links import is_attached
from running import Run, traced, until
from traced import Suite, without_futex

pytestmark = [pytest.mark.needs("bpf"), pytest.mark.needs("listener")]

EBPF = "--seccomp-backend=ebpf"

ENDLESS = """
    import os, pathlib, time

    def test_before():
        for _ in range(100):
            os.getppid()

    def test_busy():
        for _ in range(10):
            os.getppid()
        pathlib.Path("busy").touch()
        while not pathlib.Path("go").exists():
            time.sleep(0.01)

    def test_after():
        pass
"""


NUMBERS = """
    import os, pathlib, pytest, time

    @pytest.mark.parametrize("number", range(20))
    def test_number(number):
        for _ in range(100 + number):
            os.getppid()
        while not pathlib.Path("go").exists():
            time.sleep(0.01)
        if number == 7:
            os.kill(os.getpid(), 9)
"""


def links_of(run: Run) -> list[int]:
    """The ids of what a run has attached."""
    (directory,) = run.spool_directories()
    _, links, _ = marshal.loads((directory / "ebpf").read_bytes())
    return list(links)


def shared_by(run: Run) -> list[int] | None:
    """The same, None as long as there is nothing."""
    try:
        return links_of(run)
    except (OSError, ValueError, EOFError):
        return None


@pytest.mark.parametrize("options", [(), ("-n1",)], ids=["one process", "xdist"])
def test_a_killed_recorder(suite: Suite, options: tuple[str, ...]) -> None:
    suite.write("test_endless.py", ENDLESS)
    with traced(suite, EBPF, *options, plugins=["xdist"]) as run:
        run.wait_for("busy")
        links = links_of(run)
        assert all(map(is_attached, links))
        run.wait_for_line("test_before")
        for recorder in run.recorders():
            recorder.kill()
        until("the end of the programs", lambda: not any(map(is_attached, links)))
        (suite.folder / "go").touch()
        finished = run.finish(pytest.ExitCode.INTERRUPTED)
        run.expect_nothing_left()
    assert "the recorder died" in finished.stdout
    trace = finished.trace()
    assert not trace.complete
    assert without_futex(trace.test("test_before").own) == {"call": {"getppid": 100}}
    assert "test_endless.py::test_after" not in trace.outcomes


@pytest.mark.parametrize("options", [(), ("-n1",)], ids=["one process", "xdist"])
def test_a_killed_pytest(suite: Suite, options: tuple[str, ...]) -> None:
    """Also the controller of a worker, which goes on to the end of its test."""
    suite.write("test_endless.py", ENDLESS)
    with traced(suite, EBPF, *options, plugins=["xdist"]) as run:
        run.wait_for("busy")
        links = links_of(run)
        assert all(map(is_attached, links))
        run.kill()
        if options:
            (suite.folder / "go").touch()
        trace = run.salvaged()
    until("the end of the programs", lambda: not any(map(is_attached, links)))
    assert not trace.complete
    assert without_futex(trace.test("test_before").own) == {"call": {"getppid": 100}}
    assert trace.test("test_busy").phase("call")["getppid"] == 10
    assert options or trace.test("test_busy").outcome is None


def test_a_killed_worker(suite: Suite) -> None:
    suite.write("test_crash.py", NUMBERS)
    with traced(suite, EBPF, "-n2", plugins=["xdist"]) as run:
        links = until("what is attached", lambda: shared_by(run))
        (suite.folder / "go").touch()
        trace = run.trace(status=1)
        run.expect_nothing_left()
    assert links is not None
    until("the end of the programs", lambda: not any(map(is_attached, links)))
    assert not trace.complete
    for number in range(20):
        line = trace.test(f"test_number[{number}]")
        assert line.phase("call")["getppid"] == 100 + number
        assert line.complete is (number != 7)
