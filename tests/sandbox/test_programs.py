"""Programs of all kinds under the default profile of containers: in a sandbox they run as in a container with it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import container
import pytest
from mechanisms import CONTAINER_PROFILE
from programs import PROGRAMS, Program

from pytest_seccomp.linux.architecture import X86_64
from pytest_seccomp.profile.oci import from_profile
from pytest_seccomp.profile.selection import Host
from pytest_seccomp.sandbox.running import run
from pytest_seccomp.sandbox.sandboxes import Sandboxes

UID = 1000
ARCHES = {"amd64": "SCMP_ARCH_X86_64", "x86": "SCMP_ARCH_X86", "x32": "SCMP_ARCH_X32"}


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that the ordinary user of both can enter."""
    path = Path(tempfile.mkdtemp())
    os.chown(path, UID, UID)
    yield path
    shutil.rmtree(path)


@pytest.mark.needs("listener", "runc", "container-profile", "programs")
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_program_runs_as_in_a_container(sandboxes: Sandboxes, program: Program, folder: Path, tmp_path: Path) -> None:
    work = folder / "work"
    argv = ["/bin/bash", "-c", f"mkdir {work} && cd {work} || exit\n{program.script}"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "LC_ALL": "C.UTF-8", "TMPDIR": str(work)}

    config = container.configuration(argv, UID)
    config["process"]["env"] = [f"{name}={value}" for name, value in environment.items()]
    config["process"]["cwd"] = str(folder)
    config["mounts"] += [container.bind(Path("/etc")), container.bind(folder, writable=True)]
    config["linux"]["seccomp"] = container.default_profile(CONTAINER_PROFILE, ARCHES)
    theirs = container.run(container.write_bundle(tmp_path, config))
    assert program.works in theirs.stdout.splitlines(), f"it does not work in a container either: {theirs}"
    shutil.rmtree(work)

    major, minor = map(int, os.uname().release.split(".")[:2])
    policy = from_profile(CONTAINER_PROFILE, Host(X86_64, (major, minor), frozenset()))
    ours = run(
        argv, sandboxes=sandboxes, policy=policy, cwd=folder, env=environment, stdin=-3, capture_output=True, text=True,
        user=UID, group=UID, extra_groups=[], timeout=60,
    )  # fmt: skip
    assert (ours.stdout, ours.stderr, ours.returncode) == (theirs.stdout, theirs.stderr, theirs.returncode)
    assert ours.complete
    assert {*program.denied} <= {denial.call for denial in ours.denied}
