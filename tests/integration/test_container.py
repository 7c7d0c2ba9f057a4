"""A traced run in a container: uid 1000, no capability, no /dev/kmsg, the default profile of containers-common."""

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import container
import pytest
from mechanisms import CONTAINER_PROFILE
from traced import Finished, Suite, without_futex

import pytest_seccomp

pytestmark = pytest.mark.needs("listener", "root", "runc", "container-profile")

UID = 1000
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "shelf"
PLACE = Path("/suite")
"""Where the container sees the suite."""

ARCHES = {
    "x86_64": {"amd64": "SCMP_ARCH_X86_64", "x86": "SCMP_ARCH_X86", "x32": "SCMP_ARCH_X32"},
    "aarch64": {"arm64": "SCMP_ARCH_AARCH64", "arm": "SCMP_ARCH_ARM"},
}


class Container:
    """Runs pytest, or another program, in a container, as process 1 of it."""

    def __init__(self, suite: Suite, bundle: Path) -> None:
        self.suite = suite
        self.bundle = bundle

    def run(self, *arguments: str, filters: int) -> Finished:
        """A run of pytest to its end, in whose tests a process has that many seccomp filters."""
        return self.run_program(*self.suite.command(arguments, ["xdist"]), environment=[f"EXPECTED_FILTERS={filters}"])

    def run_program(self, *command: str, environment: Iterable[str] = ()) -> Finished:
        """A run of a program to its end."""
        config = container.configuration(list(command), UID)
        config["process"]["env"] += environment
        config["process"]["cwd"] = str(PLACE)
        config["process"]["env"] += ["PYTEST_DISABLE_PLUGIN_AUTOLOAD=1", "PYTHONDONTWRITEBYTECODE=1"]
        suite = {
            "destination": str(PLACE),
            "type": "bind",
            "source": str(self.suite.folder),
            "options": ["rbind", "rw"],
        }
        config["mounts"].append(suite)
        for folder in self._interpreter():
            config["mounts"].append(container.bind(folder))
        if "PYTHONPATH" in os.environ:
            config["process"]["env"].append(f"PYTHONPATH={os.environ['PYTHONPATH']}")
        config["linux"]["seccomp"] = container.default_profile(CONTAINER_PROFILE, ARCHES[platform.machine()])
        self.bundle.mkdir()
        try:
            result = container.run(container.write_bundle(self.bundle, config))
        finally:
            shutil.rmtree(self.bundle)
        return Finished(self.suite.folder, result.returncode, result.stdout, result.stderr)

    @staticmethod
    def _interpreter() -> list[Path]:
        """The folders of this Python and of the packages, where the container does not see them anyway."""
        packages = {Path(module.__file__ or "").resolve().parents[1] for module in (pytest, pytest_seccomp)}
        folders = {Path(sys.base_prefix), Path(sys.prefix), *packages}
        system = [Path("/", name).resolve() for name in container.SYSTEM_FOLDERS]
        return sorted(folder for folder in folders if not any(folder.resolve().is_relative_to(path) for path in system))


@pytest.fixture
def box(suite: Suite, tmp_path: Path) -> Container:
    """A container that sees the example's suite, and tests that make known calls."""
    shutil.copytree(EXAMPLE, suite.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    suite.write(
        "tests/test_counts.py",
        """
        import ctypes, os, subprocess, threading

        def calls(number):
            for _ in range(number):
                os.getppid()

        def test_empty():
            pass

        def test_loop():
            calls(1000)

        def test_threads():
            threads = [threading.Thread(target=calls, args=(250,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        def test_children():
            for _ in range(2):
                if os.fork() == 0:
                    calls(300)
                    os._exit(0)
                os.wait()

        def test_program():
            subprocess.run(["/bin/true"], check=True)

        def test_what_the_profile_denies():
            libc = ctypes.CDLL(None, use_errno=True)
            for _ in range(10):
                assert libc.chroot(b"/") == -1
                assert ctypes.get_errno() == 1
        """,
    )
    suite.write(
        "tests/test_place.py",
        f"""
        import os

        def test_place():
            assert os.getuid() == {UID}
            assert not os.path.exists("/dev/kmsg")
            with open("/proc/self/status") as file:
                status = dict(line.strip().split(":", 1) for line in file)
            for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                assert int(status[name], 16) == 0
            assert int(status["NoNewPrivs"]) == 1
            # The container's own, and where it is traced that of the run
            assert int(status["Seccomp_filters"]) == int(os.environ["EXPECTED_FILTERS"])
        """,
    )
    for path in (suite.folder, *suite.folder.rglob("*")):
        os.chown(path, UID, UID)
    return Container(suite, tmp_path / "bundle")


@pytest.mark.parametrize("options", [(), ("-n2", "--dist=loadfile")], ids=["alone", "xdist"])
def test_exact_in_a_container(box: Container, options: tuple[str, ...]) -> None:
    finished = box.run("--seccomp-trace=out.ndjson", *options, filters=2).expect(0)
    assert "no_new_privs" in finished.stdout
    assert "system calls: notify, complete" in finished.stdout
    trace = finished.trace()
    assert trace.complete
    assert trace.run["lost"] == 0
    assert set(trace.outcomes.values()) == {"passed"}
    assert without_futex(trace.test("test_empty").own) == {}
    assert without_futex(trace.test("test_loop").own) == {"call": {"getppid": 1000}}
    assert trace.test("test_threads").phase("call")["getppid"] == 1000
    assert trace.test("test_children").phase("call")["getppid"] == 600
    assert trace.test("test_program").phase("call")["execve"] == 1
    # The strictest of all filters decides: what the profile denies is nothing that the program did
    assert "chroot" not in trace.counts
    assert sorted(path.name for path in box.suite.folder.glob("*out*")) == ["out.ndjson", "out.tests.ndjson"]


def test_the_outcomes_are_those_without(box: Container) -> None:
    plain = box.run("-rA", "-q", filters=1).expect(0)
    traced = box.run("-rA", "-q", "--seccomp-trace=out.ndjson", filters=2).expect(0)
    # Not what warnings are listed under: from Python 3.12 on fork may warn of a thread that has just been joined
    outcomes = [re.findall("^[A-Z]+ .*::.*$", run.stdout, re.MULTILINE) for run in (plain, traced)]
    assert outcomes[0] == outcomes[1]
    assert [f"PASSED {line.nodeid}" for line in traced.trace().tests] == outcomes[1]


def test_a_process_1_that_does_not_come_to_its_end(box: Container) -> None:
    """With process 1 the kernel ends all others of a container, recorder and merging included: nothing is better than
    half a trace."""
    box.suite.write("tests/test_exit.py", "import os\ndef test_exit():\n    os._exit(9)\n")
    finished = box.run("--seccomp-trace=out.ndjson", "tests/test_exit.py", filters=2)
    assert finished.status == 9
    assert list(box.suite.folder.glob("*out*")) == []


def test_record(box: Container) -> None:
    """As process 1, to which orphans come anyway, the recorder among them."""
    shell = "/bin/true; (sleep 0.1; /bin/true) & exit 3"
    command = [sys.executable, "-m", "pytest_seccomp", "record", "-o", "out.ndjson", "--", "/bin/sh", "-c", shell]
    finished = box.run_program(*command).expect(3)
    assert "out.ndjson: complete, notify, " in finished.stderr
    assert finished.trace().counts["execve"] == 4
