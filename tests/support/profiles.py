"""Profiles of container runtimes for tests, as somebody would write them."""

import json
from pathlib import Path
from typing import Any

from pytest_seccomp.linux.syscalls import all_names

ALLOW = "SCMP_ACT_ALLOW"


def write(path: Path, *entries: dict[str, Any], **members: Any) -> Path:
    """A profile with these entries that denies all else."""
    document = {"defaultAction": "SCMP_ACT_ERRNO", **members, "syscalls": list(entries)}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path


def all_but(path: Path, *names: str) -> Path:
    """A profile that allows every call but these."""
    return write(path, {"names": sorted(all_names() - {*names}), "action": ALLOW})


def names(path: Path) -> list[str]:
    """Those of the first entry."""
    found: list[str] = json.loads(path.read_text(encoding="utf-8"))["syscalls"][0]["names"]
    return found
