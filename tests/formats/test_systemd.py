"""The format of systemd: as its tools read it, and as its manager enforces it."""

import platform
import re
import subprocess
from pathlib import Path

import pytest
from profiled import DENIED, INSIDE, OUTSIDE, profile, trace_of_program
from units import run_unit, write_unit

from pytest_seccomp.cli import main
from pytest_seccomp.formats.systemd import FORMAT, folded
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.syscalls import all_names
from pytest_seccomp.profile.actions import Action
from pytest_seccomp.profile.groups import groups

NO_FILTER_SEES = {"uprobe", "uretprobe"}
"""Newer than this machine's systemd, perhaps, and not listed for that: the kernel asks no filter about them."""


def generated(unit: Path) -> Path:
    """Write the drop-in of a unit for the program's trace."""
    drop_in = unit.parent / "program.service.d/10-seccomp.conf"
    trace = str(trace_of_program(unit.parent))
    assert main(["generate", trace, "--format=systemd", "-o", str(drop_in)]) == 0
    return drop_in


@pytest.mark.needs("listener", "systemd", "root", "cgroup")
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


def own_groups() -> dict[str, set[str]]:
    """The groups of this machine's systemd, each with all calls in it."""
    command = ["systemd-analyze", "syscall-filter"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, set[str]] = {}
    for line in re.sub("\x1b[^m]*m", "", text).splitlines():
        if line.startswith("@"):
            name = line.strip()
            found[name] = set()
        elif line.startswith("    ") and not line.strip().startswith("#") and name in found:
            found[name].add(line.strip())

    def members(name: str) -> set[str]:
        return set().union(*(members(one) if one.startswith("@") else {one} for one in found[name]))

    return {name: members(name) for name in found}


@pytest.mark.needs("systemd")
@pytest.mark.parametrize("whole", [name for name in groups() if name not in ("@known", "@internet", "@sandbox")])
def test_groups_stand_for_their_calls_and_for_no_other(whole: str) -> None:
    """In this machine's systemd, which may be older than our table: what it has more in a group than that, and what
    is in @default, is allowed in any case."""
    ours, theirs = groups(), own_groups()
    here = all_names(native().audit_arch)
    names = {member.name for member in ours[whole].members()} & here | {"ptrace", "setns"}
    listed = folded(names, [native().name])
    if len(names) > 3:
        assert whole in listed
    allowed = set().union(*(theirs[one] if one.startswith("@") else {one} for one in listed)) & here
    assert names <= allowed | NO_FILTER_SEES
    assert allowed - names - theirs["@default"] == set()


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
