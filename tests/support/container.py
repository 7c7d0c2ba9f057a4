"""A runc container that sees this machine's own programs: the smallest bundle that runs one of them.

Format: https://github.com/opencontainers/runtime-spec/blob/main/config.md
"""

import json
import os
import subprocess
import uuid
from pathlib import Path
from typing import Any

_CGROUPS = "/sys/fs/cgroup"
ONE_CGROUP_VERSION = f"{{ [ -d {_CGROUPS} ] || mount -t sysfs sysfs /sys; }} && mount -t cgroup2 cgroup2 {_CGROUPS}"
"""For a shell in a mount namespace of its own: the second version of control groups alone, wherever it was."""

SYSTEM_FOLDERS = ("bin", "lib", "lib32", "lib64", "libx32", "sbin", "usr")


def configuration(argv: list[str], uid: int = 1000) -> dict[str, Any]:
    """Return a bundle's config.json: `argv` as `uid`, no capability, no_new_privs, no network, no seccomp filter.

    Control groups are left alone: a runc inside of another container may not be able to make any.
    """
    mounts: list[dict[str, Any]] = [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "mode=1777"]},
        {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=1777"]},
    ]
    for name in SYSTEM_FOLDERS:
        if Path("/", name).is_dir() and not Path("/", name).is_symlink():
            mounts.append(bind(Path("/", name)))
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": uid, "gid": uid},
            "args": argv,
            "env": ["PATH=/usr/bin:/bin", "HOME=/tmp", "LC_ALL=C.UTF-8"],
            "cwd": "/tmp",
            "capabilities": {},
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": False},
        "hostname": "container",
        "mounts": mounts,
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")]},
    }


def default_profile(profile: Path, arches: dict[str, str]) -> dict[str, Any]:
    """Return the filter that podman makes of containers-common's profile for a container without any capability.

    `arches` are the machine's architectures, as the profile names them, with their names in the runtime's format.
    Format: https://github.com/containers/common/blob/main/pkg/seccomp/types.go
    """
    read = json.loads(profile.read_text(encoding="utf-8"))
    rules = []
    for rule in read["syscalls"]:
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        # No capability is there, so that a rule which includes one is out and one which excludes one is in
        if includes.get("caps") or not arches.keys() & set(includes.get("arches") or arches):
            continue
        if arches.keys() & set(excludes.get("arches") or ()):
            continue
        kept = {"names": rule["names"], "action": rule["action"]}
        if rule.get("errnoRet") is not None:
            kept["errnoRet"] = rule["errnoRet"]
        if rule.get("args"):
            kept["args"] = rule["args"]
        rules.append(kept)
    return {
        "defaultAction": read["defaultAction"],
        "defaultErrnoRet": read["defaultErrnoRet"],
        "architectures": list(arches.values()),
        "syscalls": rules,
    }


def bind(folder: Path, writable: bool = False) -> dict[str, Any]:
    """Return the mount that shows `folder` of this machine at the same place in the container."""
    options = ["rbind", "rw" if writable else "ro"]
    return {"destination": str(folder), "type": "bind", "source": str(folder), "options": options}


def write_bundle(folder: Path, config: dict[str, Any]) -> Path:
    """Write a bundle into `folder`, which must be empty, and return it."""
    root = folder / "rootfs"
    root.mkdir()
    for name in SYSTEM_FOLDERS:
        if Path("/", name).is_symlink():
            (root / name).symlink_to(os.readlink(Path("/", name)))
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def run(bundle: Path, runtime: str = "runc") -> subprocess.CompletedProcess[str]:
    """Run the container of a bundle to its end and return what it printed and its exit status."""
    return subprocess.run(
        command(bundle, "run", "--bundle", str(bundle), f"pytest-seccomp-{uuid.uuid4().hex}", runtime=runtime),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def command(bundle: Path, *arguments: str, runtime: str = "runc") -> list[str]:
    """The command line of a runtime for the container of a bundle.

    crun refuses machines that have both versions of control groups, even where it is to leave them alone: it sees the
    second alone.
    """
    argv = [runtime, "--root", str(bundle / "state"), *arguments]
    if runtime != "crun":
        return argv
    argv.insert(1, "--cgroup-manager=disabled")
    return ["unshare", "--mount", "sh", "-c", f'{ONE_CGROUP_VERSION} && exec "$@"', "sh", *argv]
