"""The tests of the service, which run it as it is run in production."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from notes import ask, visit

Service = tuple["subprocess.Popen[str]", int]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """The service and its port."""
    command = [sys.executable, "-m", "notes", str(tmp_path / "notes")]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline().split()[1])
        process.kill()


def test_a_note_is_kept(service: Service) -> None:
    _, port = service
    assert ask(port, "PUT", "/one", "first") == (200, "written")
    assert ask(port, "PUT", "/one", "second") == (200, "written")
    assert ask(port, "GET", "/one") == (200, "second")
    assert ask(port, "GET", "/") == (200, "one.note")
    assert ask(port, "GET", "/two") == (404, "no such note")


def test_under_load(service: Service) -> None:
    _, port = service
    assert visit(port, clients=8, notes=10) == 80


def test_it_stops_when_it_is_told_to(service: Service) -> None:
    process, port = service
    assert visit(port, clients=2, notes=1) == 2
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert process.stdout is not None
    assert process.stdout.read() == "stopped\n"
