"""A unit of systemd, carried out by a user's manager of its own: in namespaces, so that none of it stays."""

import json
import os
import subprocess
from pathlib import Path

import cgroups
from container import ONE_CGROUP_VERSION

_MANAGER = "/lib/systemd/systemd"
_START = f"""
set -e
echo 0 > "$GROUP/cgroup.procs"
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system "$XDG_RUNTIME_DIR"
exec unshare --cgroup sh -c '{ONE_CGROUP_VERSION} && "$@"; exit $?' sh "$@"
"""
"""/run/systemd/system says that systemd has started the machine. Without it, or as process 1, a user's manager does not
start."""


def write_unit(folder: Path, argv: list[str]) -> Path:
    """Write a unit that runs a program to its end, in a new folder, where its output goes as well; return its file."""
    folder.mkdir(parents=True)
    quoted = " ".join(map(json.dumps, argv))
    lines = [
        *("[Unit]", "DefaultDependencies=no", "SuccessAction=exit-force", "FailureAction=exit-force"),
        *("[Service]", "Type=oneshot", f"WorkingDirectory={folder}", f"ExecStart={quoted}", "StandardInput=null"),
        *(f"StandardOutput=truncate:{folder}/out", f"StandardError=truncate:{folder}/err"),
    ]
    unit = folder / "program.service"
    unit.write_text("".join(f"{line}\n" for line in lines))
    (folder / "program.service.d").mkdir()
    return unit


def run_unit(unit: Path) -> tuple[int, str, str]:
    """Have a manager carry it out; exit status, standard output and error of the program."""
    with cgroups.made_cgroup() as group:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(unit.parent),
            "GROUP": str(group.folder),
            "XDG_RUNTIME_DIR": "/run/user",
            "SYSTEMD_UNIT_PATH": f"{unit.parent}:",
            "SYSTEMD_GENERATOR_PATH": str(unit.parent / "none"),
            "SYSTEMD_ENVIRONMENT_GENERATOR_PATH": str(unit.parent / "none"),
        }
        namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        command = [*namespaces, "sh", "-c", _START, "sh", _MANAGER, "--user", f"--unit={unit.name}"]
        result = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        for made in sorted(group.folder.glob("**/"), reverse=True):
            if made != group.folder:
                made.rmdir()
    out, err = ((unit.parent / name) for name in ("out", "err"))
    assert out.exists(), f"the unit was not started: {result.returncode} {result.stdout}{result.stderr}"
    return result.returncode, out.read_text(), err.read_text()
