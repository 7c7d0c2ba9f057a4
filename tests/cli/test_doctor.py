"""`doctor`: what works on this machine. The backends' own checks have tests of their own."""

import json
import os
import platform
import subprocess
import sys

import pytest
from commands import Command

from pytest_seccomp.cli.doctor import Machine
from pytest_seccomp.recorder import doctor
from pytest_seccomp.recorder.doctor import Diagnosis

WORKS = Diagnosis("notify", True, "of 50 calls 50 were recorded", None, ["sudo gains nothing"])
FAILS = Diagnosis("ebpf", False, "bpf() is refused", "run as root", [])


def backends(monkeypatch: pytest.MonkeyPatch, *found: Diagnosis) -> None:
    monkeypatch.setattr(doctor, "check_backends", lambda: list(found))


def test_it_says_what_works_and_what_does_not_and_why(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    backends(monkeypatch, FAILS, WORKS)
    result = command("doctor")
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines()[-7:] == [
        "ebpf: DOES NOT WORK",
        "  bpf() is refused",
        "  to get it: run as root",
        "",
        "notify: works",
        "  of 50 calls 50 were recorded",
        "  note: sudo gains nothing",
    ]


def test_it_says_where_it_runs(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    backends(monkeypatch, WORKS)
    facts = dict(line.split(maxsplit=1) for line in command("doctor").out.partition("\n\n")[0].splitlines())
    assert facts["kernel"] == os.uname().release
    assert facts["architecture"] == os.uname().machine
    assert facts["python"] == f"{platform.python_implementation()} {platform.python_version()}"
    assert facts["user"].startswith(f"uid {os.geteuid()}, capabilities ")
    assert facts["restrictions"].startswith("seccomp filters: ")


@pytest.mark.parametrize(("found", "status"), [([], 1), ([FAILS], 1), ([FAILS, WORKS], 0)])
def test_its_status_says_whether_any_backend_works(
    command: Command, monkeypatch: pytest.MonkeyPatch, found: list[Diagnosis], status: int
) -> None:
    backends(monkeypatch, *found)
    assert command("doctor").status == status
    assert command("doctor", "--json").status == status


def test_json(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    backends(monkeypatch, FAILS)
    found = json.loads(command("doctor", "--json").out)
    assert found["kernel"] == os.uname().release
    assert found["uid"] == os.geteuid()
    assert found["backends"] == [
        {"name": "ebpf", "works": False, "detail": "bpf() is refused", "remedy": "run as root", "notes": []}
    ]


@pytest.mark.needs("libseccomp")
def test_the_version_of_libseccomp_is_found() -> None:
    version = Machine.of_this_process().libseccomp
    assert version is not None
    assert [part.isdigit() for part in version.split(".")] == [True] * 3
    assert version.startswith("2.")


def test_a_missing_libseccomp_is_named_with_the_packages() -> None:
    machine = Machine("0", "CPython", "6", "x86_64", None, 0, "0", False, "none", None)
    assert "libseccomp      not installed: only the names of very new calls come from it (libseccomp2 on " in "\n".join(
        machine.lines()
    )


def test_a_sign_of_a_container_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("container", "podman")
    assert "container=podman in the environment" in (Machine.of_this_process().container or "")


@pytest.mark.needs("listener")
def test_the_backends_are_tried_in_children() -> None:
    """After the command the process is under no filter more than before it."""
    code = (
        "import sys; from pathlib import Path; from pytest_seccomp.cli import main; "
        "count = lambda: [line for line in Path('/proc/self/status').read_text().splitlines() if 'eccomp' in line]; "
        "before = count(); status = main(['doctor']); assert before == count(), count(); sys.exit(status)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert "notify: works\n" in result.stdout
