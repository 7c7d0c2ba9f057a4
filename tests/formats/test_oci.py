"""The OCI's format, in containers of runc and crun."""

import json
from pathlib import Path
from typing import Any

import container
import pytest
from profiled import DENIED, INSIDE, OUTSIDE, profile, trace_of_program
from traces import run, spooled_test, write_spool

from pytest_seccomp.cli import main
from pytest_seccomp.errors import SeccompError
from pytest_seccomp.formats.oci import FORMAT
from pytest_seccomp.trace.store import Destination, write_trace

AARCH64 = 0xC00000B7
I386_SOCKETCALL, X32_READ = ("i386", 102), ("x32", 0x40000000)


def write_foreign(folder: Path) -> Path:
    """A trace from another machine, of another architecture, which does no harm in the same profile."""
    spool = write_spool(folder / "foreign.spool", [spooled_test("t.py::one", [[AARCH64, 63, {"call": 1}]])])
    return write_trace(Destination.check(folder / "foreign.ndjson"), run(arch="aarch64"), [spool]).path


class Box:
    """Runs a program in a container under a profile that is generated from its trace."""

    def __init__(self, folder: Path, runtime: str, *, no_new_privs: bool) -> None:
        self._folder = folder
        self._runtime = runtime
        self._no_new_privs = no_new_privs
        self._traces = [trace_of_program(folder), write_foreign(folder)]
        self.profile: dict[str, Any] = {}

    def generate(self, *options: str) -> None:
        """Make the profile."""
        path = self._folder / "profile.json"
        assert main([*map(str, ["generate", *self._traces, "--format=oci", "-o", path, *options])]) == 0
        self.profile = json.loads(path.read_text())

    def run(self, argv: list[str]) -> tuple[int, str, str]:
        """Exit status, standard output and error."""
        config = container.configuration(argv, 1000)
        config["linux"]["seccomp"] = self.profile
        config["process"]["noNewPrivileges"] = self._no_new_privs
        bundle = self._folder / f"bundle-{len(list(self._folder.glob('bundle-*')))}"
        bundle.mkdir()
        result = container.run(container.write_bundle(bundle, config), self._runtime)
        return result.returncode, result.stdout, result.stderr


@pytest.mark.needs("listener", "root")
@pytest.mark.parametrize(
    ("runtime", "no_new_privs"),
    [
        *(pytest.param("runc", nnp, marks=pytest.mark.needs("runc")) for nnp in (True, False)),
        *(pytest.param("crun", nnp, marks=pytest.mark.needs("crun")) for nnp in (True, False)),
    ],
)
def test_a_program_runs_under_its_profile_and_no_call_more_is_made(
    tmp_path: Path, runtime: str, no_new_privs: bool
) -> None:
    """Only the runtime's own base set is there. It has all that the runtime needs: any other call would be its end."""
    box = Box(tmp_path, runtime, no_new_privs=no_new_privs)
    sets = ["--bare", "--base=end", f"--base={runtime}-nnp" if no_new_privs else f"--base={runtime}"]
    box.generate(*sets, "--default=kill_process")
    assert box.profile["defaultAction"] == "SCMP_ACT_KILL_PROCESS"
    assert box.run(INSIDE) == (0, "hello\n", "")
    box.generate(*sets)
    status, out, err = box.run(OUTSIDE)
    assert (status, out) == (1, "hello\n")
    assert DENIED in err


@pytest.mark.needs("listener", "root", "crun")
def test_without_a_base_set_the_program_is_not_even_started(tmp_path: Path) -> None:
    box = Box(tmp_path, "crun", no_new_privs=False)
    box.generate("--bare", "--default=kill_process")
    assert box.run(INSIDE)[:2] != (0, "hello\n")


def test_form() -> None:
    """Sorted, a name a line; a name holds for all architectures and is there once."""
    made = FORMAT.write(profile(("x86_64", 41), ("x86_64", 0), I386_SOCKETCALL, ("i386", 3), X32_READ))
    assert made.left_out == ()
    assert json.loads(made.data) == {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [
            {
                "comment": "Made by pytest-seccomp generate. Called in out.ndjson.",
                "names": ["read", "socket", "socketcall"],
                "action": "SCMP_ACT_ALLOW",
            }
        ],
    }
    assert [line.strip() for line in made.data.decode().splitlines()].count('"read",') == 1


def test_what_it_cannot_say_is_told_and_stands_in_the_profile() -> None:
    made = FORMAT.write(profile(("x86_64", 0), ("x86_64", 4000), ("0x0000beef", 7)))
    assert made.left_out == (
        "Left out, for the format does not know their architecture: 0x0000beef:7.",
        "Left out, for the format takes names alone: x86_64:4000.",
    )
    document: dict[str, Any] = json.loads(made.data)
    assert all(text in document["syscalls"][0]["comment"] for text in made.left_out)


def test_architectures_of_both_byte_orders_are_an_error() -> None:
    """No runtime would take them, for libseccomp does not."""
    with pytest.raises(SeccompError, match="no profile for both x86_64 and s390x, whose byte orders differ: generate "):
        FORMAT.write(profile(("x86_64", 0), ("s390x", 3)))
