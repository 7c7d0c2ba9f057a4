"""A made-up machine: processes that are nothing but files, as /proc has them, and a clock that stands."""

import shutil
from pathlib import Path

from pytest_seccomp.linux.proc import INITIAL_PID_NAMESPACE, Processes
from pytest_seccomp.recorder.scope import Scope

BOOT_MS = 1_700_000_000_000
TARGET, CHILD, GRANDCHILD, OTHER = 4711, 4712, 4713, 42
SESSION = 7


class Machine:
    """Its processes, and a scope that looks at them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = 1000.0
        self.scope = Scope(Processes(str(folder)), lambda: self.now, lambda: BOOT_MS, SESSION)
        self.start(1, parent=0, at=0.0)
        self.start(OTHER, at=1.0)
        self.start(TARGET)
        self.start(CHILD, parent=TARGET)
        self.start(GRANDCHILD, parent=CHILD)

    def start(
        self,
        pid: int,
        *,
        parent: int = 1,
        at: float | None = None,
        namespace: int = INITIAL_PID_NAMESPACE,
        group: str = "/",
        session: int = SESSION,
    ) -> None:
        """`at`: in seconds since the boot, which is when the clock began."""
        folder = self.folder / str(pid)
        (folder / f"task/{pid}").mkdir(parents=True)
        (folder / f"task/{pid}/children").write_text("")
        (folder / "ns").mkdir()
        (folder / "ns/pid").symlink_to(f"pid:[{namespace}]")
        (folder / "cgroup").write_text(f"1:cpu:/\n0::{group}\n")
        (folder / "sessionid").write_text(str(session))
        ticks = int(100 * (self.now if at is None else at))
        self._write_stat(pid, parent, ticks)

    def end(self, pid: int) -> None:
        """It is gone, and waited for; its children are adopted."""
        for child in self._children_file(pid).read_text().split():
            self._write_stat(int(child), 1, int(self._stat(int(child))[19]))
        self._no_child(pid)
        shutil.rmtree(self.folder / str(pid))

    def move(self, pid: int, group: str) -> None:
        """Into another cgroup."""
        (self.folder / f"{pid}/cgroup").write_text(f"0::{group}\n")

    def begin_session(self, pid: int, session: int) -> None:
        """As a login does."""
        (self.folder / f"{pid}/sessionid").write_text(str(session))

    def hide_from_its_parent(self, pid: int) -> None:
        """As where another child ends while the children are listed."""
        self._no_child(pid)

    def holds(self, pid: int, *, at: float | None = None, session: int = SESSION) -> bool | None:
        """Whether a record counts that a process made `at` a time, now by default."""
        return self.scope.holds(pid, BOOT_MS + int(1000 * (self.now if at is None else at)), session)

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def _write_stat(self, pid: int, parent: int, ticks: int) -> None:
        text = f"{pid} (na) me) S {parent} {'0 ' * 17}{ticks} 0 0\n"
        (self.folder / f"{pid}/stat").write_text(text)
        if parent:
            with self._children_file(parent).open("a") as file:
                file.write(f"{pid} ")

    def _no_child(self, pid: int) -> None:
        file = self._children_file(int(self._stat(pid)[1]))
        file.write_text("".join(f"{child} " for child in file.read_text().split() if child != str(pid)))

    def _stat(self, pid: int) -> list[str]:
        return (self.folder / f"{pid}/stat").read_text().rpartition(")")[2].split()

    def _children_file(self, pid: int) -> Path:
        return self.folder / f"{pid}/task/{pid}/children"
