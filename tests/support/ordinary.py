"""Commands before a run that make it an ordinary user's: uid 1000, no capability, no_new_privs."""

import os
import shlex
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest_seccomp

UID = 1000

_ASIDE = "/mnt"

_DROP = [
    "setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--no-new-privs",
    "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all",
]  # fmt: skip


def as_ordinary_user(*folders: Path) -> list[str]:
    """The command that runs what follows as an ordinary user, who can enter `folders` and this Python's.

    Root's folders, in which those may lie, are closed to others. They are not opened: in a mount namespace of the run's
    own, empty ones that anybody may enter take their places, with nothing in them but what is needed. Where the tests
    are not run by root, nothing has to be changed.
    """
    if os.geteuid() != 0:
        return ["setpriv", "--no-new-privs"]
    needed = [Path(sys.base_prefix), Path(sys.prefix), Path(pytest_seccomp.__file__).parents[1], *folders]
    script = "\n".join(["set -e", *_opening(path.resolve() for path in needed), 'exec "$@"'])
    return ["unshare", "--mount", "sh", "-c", script, "sh", *_DROP]


def _opening(paths: Iterable[Path]) -> list[str]:
    by_closed: dict[Path, list[Path]] = {}
    for path in paths:
        closed = next((folder for folder in reversed(path.parents) if not folder.stat().st_mode & stat.S_IXOTH), None)
        if closed is not None:
            by_closed.setdefault(closed, []).append(path)
    lines = []
    for closed, inside in by_closed.items():
        lines.append(f"mount --rbind {shlex.quote(str(closed))} {_ASIDE}")
        lines.append(f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(closed))}")
        for path in dict.fromkeys(inside):
            original, place = shlex.quote(f"{_ASIDE}/{path.relative_to(closed)}"), shlex.quote(str(path))
            lines.append(f"mkdir -p {place} && mount --rbind {original} {place}")
        lines.append(f"umount -l {_ASIDE}")
    return lines
