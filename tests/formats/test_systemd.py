"""The format of systemd: as its tools read it, and as its manager enforces it."""

import platform
import subprocess
from pathlib import Path

import pytest
from profiled import DENIED, INSIDE, OUTSIDE, profile, trace_of_program
from systemd_groups import NEWEST, Members, must_be_none, of_this_machine, of_version, ours
from units import run_unit, write_unit

from pytest_seccomp.cli import main
from pytest_seccomp.formats.systemd import FORMAT, folded
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.syscalls import all_names, audit_arch_of
from pytest_seccomp.profile.actions import Action
from pytest_seccomp.profile.groups import KNOWN, groups

NO_FILTER_SEES = {"uprobe", "uretprobe"}
"""Newer than this machine's systemd, perhaps, and not listed for that: the kernel asks no filter about them."""


def generated(unit: Path) -> Path:
    """Write the drop-in of a unit for the program's trace."""
    drop_in = unit.parent / "program.service.d/10-seccomp.conf"
    trace = str(trace_of_program(unit.parent))
    assert main(["generate", trace, "--format=systemd", "-o", str(drop_in)]) == 0
    return drop_in


@pytest.mark.needs("listener", "systemd", "root", "cgroup", "mount")
def test_a_manager_enforces_it(tmp_path: Path) -> None:
    inside, outside = write_unit(tmp_path / "inside", INSIDE), write_unit(tmp_path / "outside", OUTSIDE)
    generated(inside), generated(outside)
    assert run_unit(inside) == (0, "hello\n", "")
    status, out, err = run_unit(outside)
    assert (status, out) == (1, "hello\n")
    assert DENIED in err


@pytest.mark.needs("listener", "systemd")
def test_systemd_verifies_it(tmp_path: Path) -> None:
    """Without a word; a call that it does not know is one that it tells of."""
    unit = write_unit(tmp_path / "unit", INSIDE)
    drop_in = generated(unit)

    def told() -> str:
        result = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=True)
        return "".join(line for line in result.stderr.splitlines(keepends=True) if str(drop_in) in line)

    assert told() == ""
    drop_in.write_text(drop_in.read_text().replace("SystemCallFilter=@default ", "SystemCallFilter=@default opennat "))
    assert "opennat" in told()


WHOLE = [name for name in groups() if name not in (KNOWN, "@internet", "@sandbox")]


def misunderstood(whole: str, theirs: Members, arch: str) -> list[str]:
    """Make a unit of all calls of a group; return what a systemd with such groups allows too little, or too much.

    Not too much is what is in @default, which is allowed in any case."""
    here = all_names(audit_arch_of(arch))
    names = ours()[whole] & here | {"ptrace", "setns"}
    listed = folded(names, [arch])
    if len(names) > 3:
        assert whole in listed
    allowed = frozenset().union(*(theirs[one] if one.startswith("@") else {one} for one in listed)) & here
    too_little = names - allowed - theirs["@default"] - NO_FILTER_SEES
    too_much = allowed - names - theirs["@default"] - ours()["@default"]
    return sorted([*(f"without {name}" for name in too_little), *(f"with {name}" for name in too_much)])


@pytest.mark.needs("systemd")
@pytest.mark.parametrize("whole", WHOLE)
def test_groups_stand_for_their_calls_and_for_no_other(whole: str) -> None:
    must_be_none(misunderstood(whole, of_this_machine(), native().name))


@pytest.mark.parametrize("arch", ["x86_64", "i386", "aarch64", "arm", "riscv64"])
@pytest.mark.parametrize("version", [247, 249, 252, 256, 258, NEWEST])
def test_and_so_they_do_in_older_versions_and_the_newest(version: int, arch: str) -> None:
    theirs = of_version(version)
    assert {whole: found for whole in WHOLE if (found := misunderstood(whole, theirs, arch))} == {}


def test_lines() -> None:
    """Everything begins anew: what the unit says itself no longer counts."""
    made = FORMAT.write(profile(("x86_64", 0), ("x86_64", 41), ("x86_64", 4000), ("i386", 102), remarks=("A remark.",)))
    assert made.left_out == ("Left out, for the format takes names alone: x86_64:4000.",)
    assert made.data.decode().splitlines() == [
        "# Made by pytest-seccomp generate.",
        "# A remark.",
        "# Left out, for the format takes names alone: x86_64:4000.",
        "[Service]",
        "SystemCallArchitectures=",
        "SystemCallArchitectures=native x86",
        "SystemCallFilter=",
        "# Called in out.ndjson",
        "SystemCallFilter=read socket socketcall",
        "SystemCallErrorNumber=EPERM",
    ]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of x86-64")
def test_the_default_and_newer_calls() -> None:
    """A call of Linux 5.1 or later is listed beside a group that may lack it; a process is killed where no error is
    set."""
    names = {member.name for member in groups()["@file-system"].members()} & all_names(native().audit_arch)
    listed = folded(names, ["x86_64"])
    assert {"@file-system", "openat2", "fchmodat2"} <= {*listed}
    assert {"openat", "read"}.isdisjoint(listed)
    killing = FORMAT.write(profile(("x86_64", 0), default=Action.parse("kill_process"))).data.decode()
    assert killing.splitlines()[-1] == "SystemCallErrorNumber="
