"""A service in a container, under the profile that is made of a trace of its tests: from its start to its end."""

import json
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Self

import container
import pytest
from traced import Suite

from pytest_seccomp.cli import main

pytestmark = pytest.mark.needs("listener", "root", "runc")

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/notes"
PLACE = "/service"
"""Where the container sees the service."""


class Service:
    """The service as process 1 of a container, on this machine's own network. To be used in a `with`."""

    def __init__(self, folder: Path, source: Path, profile: Path) -> None:
        config = container.configuration([sys.executable, "-m", "notes", "/tmp/notes"])
        config["process"]["cwd"] = PLACE
        config["mounts"] += [container.bind(Path(prefix)) for prefix in {sys.base_prefix, sys.prefix}]
        config["mounts"].append({**container.bind(source), "destination": PLACE})
        config["linux"]["namespaces"].remove({"type": "network"})
        config["linux"]["seccomp"] = json.loads(profile.read_text())
        folder.mkdir()
        self._bundle = container.write_bundle(folder, config)
        self._name = f"pytest-seccomp-{uuid.uuid4().hex}"

    def __enter__(self) -> Self:
        command = container.command(self._bundle, "run", "--bundle", str(self._bundle), self._name)
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        assert words[:1] == ["port"], self.process.communicate()
        self.port = int(words[1])
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.signal("KILL")
        self.process.communicate()

    def ask(self, code: str) -> str:
        """What a client of the service prints; `port` is that of the service."""
        program = f"from notes import ask, visit; port = {self.port}; {code}"
        return subprocess.run(
            [sys.executable, "-c", program], cwd=EXAMPLE, stdout=subprocess.PIPE, text=True, check=True
        ).stdout

    def signal(self, name: str) -> None:
        """Send a signal to the service."""
        subprocess.run(container.command(self._bundle, "kill", self._name, name), check=True)


@pytest.fixture
def profile(suite: Suite, tmp_path: Path) -> Path:
    """The profile that its tests make, with what runc needs."""
    shutil.copytree(EXAMPLE, suite.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    assert suite.trace("-p", "no:cacheprovider").complete
    path = tmp_path / "profile.json"
    assert main(["generate", str(suite.folder / "out.ndjson"), "--format=oci", "-o", str(path)]) == 0
    return path


def test_from_start_to_graceful_stop_and_no_call_more(profile: Path, suite: Suite, tmp_path: Path) -> None:
    with Service(tmp_path / "bundle", suite.folder, profile) as service:
        assert service.ask("print(visit(port, clients=8, notes=10))") == "80\n"
        # What no test does: link(2)
        copy = "print(*ask(port, 'COPY', '/0-0', Destination='/copy'))"
        assert service.ask(copy) == "500 Operation not permitted\n"
        assert service.ask("print(*ask(port, 'GET', '/copy'))") == "404 no such note\n"
        assert service.ask("print(visit(port, clients=4, notes=2))") == "8\n"
        service.signal("TERM")
        out, err = service.process.communicate()
        assert (service.process.returncode, out, err) == (0, "stopped\n", "")
    # With that in the profile it can
    document = json.loads(profile.read_text())
    document["syscalls"][0]["names"] += ["link", "linkat"]
    profile.write_text(json.dumps(document))
    with Service(tmp_path / "other", suite.folder, profile) as service:
        service.ask("ask(port, 'PUT', '/one', 'text')")
        assert service.ask(copy.replace("/0-0", "/one")) == "200 copied\n"
        assert service.ask("print(*ask(port, 'GET', '/copy'))") == "200 text\n"
