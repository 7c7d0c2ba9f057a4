"""Control groups of version 2: finding one, and its members. Sources: cgroups(7), proc_pid_mountinfo(5),
Documentation/admin-guide/cgroup-v2.rst."""

import errno
import os

MOUNTS = "/proc/self/mountinfo"

_MEMBERS = b"cgroup.procs"


class Cgroup:
    """A cgroup with all that are below it."""

    __slots__ = ("directory", "path")

    def __init__(self, path: bytes, directory: bytes) -> None:
        self.path = path
        """As /proc/PID/cgroup has it, for readers in the cgroup namespace of this process."""
        self.directory = directory

    def holds(self, path: bytes) -> bool:
        """Whether this is the path of it or of one below it."""
        return path == self.path or path.startswith(self.path.rstrip(b"/") + b"/")

    def members(self) -> list[int]:
        """The processes in it, by their pids in this process's pid namespace, 0 for others; none when it is removed."""
        found: list[int] = []
        folders = [self.directory]
        while folders:
            folder = folders.pop()
            try:
                with open(os.path.join(folder, _MEMBERS), "rb", buffering=0) as file:
                    found += [int(pid) for pid in file.read().split()]
            except OSError:
                pass  # removed meanwhile; EOPNOTSUPP in a threaded one, whose processes are in one above it
            try:
                with os.scandir(folder) as entries:
                    folders += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
            except OSError:
                pass  # removed meanwhile
        return found


def find(path: str, mounts: str = MOUNTS) -> Cgroup:
    """The cgroup at a path: that of its directory, or as /proc/PID/cgroup has it. Raises FileNotFoundError."""
    wanted = os.path.normpath(os.fsencode(path)).replace(b"//", b"/")
    for root, mounted in _hierarchies(mounts):
        below = _below(mounted, os.path.realpath(wanted))
        if below is None:
            below = _below(root, wanted)
        if below is not None and os.path.exists(os.path.join(mounted, below, _MEMBERS)):
            return Cgroup(os.path.normpath(os.path.join(root, below)), os.path.join(mounted, below))
    raise FileNotFoundError(errno.ENOENT, "no cgroup of version 2", path)


def _hierarchies(mounts: str) -> list[tuple[bytes, bytes]]:
    """Where version 2 is mounted: for each place what of it is there, and where."""
    found = []
    with open(mounts, "rb") as file:
        for line in file:
            fields = line.split()
            if fields[fields.index(b"-") + 1] == b"cgroup2":
                found.append((_unescaped(fields[3]), _unescaped(fields[4])))
    return found


def _below(folder: bytes, path: bytes) -> bytes | None:
    """What follows the folder in a path; None where it is not below it."""
    if path == folder:
        return b""
    start = folder.rstrip(b"/") + b"/"
    return path[len(start) :] if path.startswith(start) else None


def _unescaped(field: bytes) -> bytes:
    """Space, tab, newline and backslash are a backslash and three octal digits."""
    for byte in (0o40, 0o11, 0o12, 0o134):
        field = field.replace(b"\\%03o" % byte, b"%c" % byte)
    return field
