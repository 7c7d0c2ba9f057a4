"""The names of a trace's two files, and what kind of file there is under a name."""

import os
import stat
from pathlib import Path

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISLNK, "a symbolic link that leads nowhere"),
)


def tests_path(path: Path) -> Path:
    """PATH with `.tests` before its suffix: `out.ndjson` has `out.tests.ndjson`, `out` has `out.tests`."""
    return path.with_name(f"{path.stem}.tests{path.suffix}")


def is_tests_path(path: Path) -> bool:
    """Whether a tests file would have that name."""
    return path.stem.endswith(".tests") or path.suffix == ".tests"


def path_of(tests: Path) -> Path | None:
    """The PATH whose tests file has this name; None where it is no such name."""
    if not is_tests_path(tests):
        return None
    return tests.with_suffix("") if tests.suffix == ".tests" else tests.with_name(Path(tests.stem).stem + tests.suffix)


def real_path(path: Path) -> Path:
    """The absolute path with all symbolic links followed, whether there is a file or not."""
    return Path(os.path.realpath(path))


def irregular(mode: int) -> str | None:
    """What a file with that `st_mode` is, in words, if it is no regular file; None if it is one."""
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), None)
