"""Messages between pytest and the watcher of the kernel's log. Their form is that of `protocol`.

pytest to watcher                      when
Settings                               first of all
("phase", nodeid, phase, rerun)        where pytest is from now on; nodeid is a JSON value
("write", lines)                       lines for the spool, without the end of the last one: what was told is judged
("merged",)                            the session has its file: nothing is left to do when pytest ends

With a number, which the answer has, too: a signal handler may raise while pytest waits, and then the answer is still to
come when pytest asks for something else.
("sync", number)                       what was denied up to now? Answered by ("seen", number, denials, reasons)
("finish", number)                     the same for the last time, with what the kernel says of losses on the way to it
("add", number, pid, cgroup)           one more target: ("added", number, reason), None where it is one now
("remove", number, pid)                one less: ("removed", number)
("close", number, reasons)             the end of the spool, incomplete where there are reasons:
                                       ("closed", number, complete)

watcher to pytest, first of all
("ready", source, notes)               the kernel's log can be read, by this channel
("unavailable", reason, remedy)        it cannot

A denial is (audit_arch, syscall, action, pid, comm, exe, count), comm and exe in bytes.
"""

from pytest_seccomp.recorder.kernel_log import SOURCES
from pytest_seccomp.recorder.protocol import Message

CLOSED = (
    "a test has closed descriptors that it did not open, that of the kernel log's watcher among them: what was denied "
    "after that is not known"
)
DIED = "the watcher of the kernel's log died: what was denied after that is not known"
SILENT = "the watcher of the kernel's log does not answer: what was denied after that is not known"


SUPERVISED = "supervised"
"""The source where the kernel's log is not asked."""


class Settings:
    """What a watcher is to do; the first message.

    `target` is the pid of pytest, in this process's pid namespace. `session` is the audit session that pytest has begun
    for itself, None where it could not. `cookie` marks the calls of pytest's side. `spool` is the path of the file to
    write, None where there is nothing to watch, only to check that it could be, and to merge if the target is killed
    (an xdist controller). `worker` is the name of the xdist worker as a JSON value. `salvage` is the command that
    merges the spools in place of a killed pytest, None where another process sees to it. `sources` are the channels to
    try, in order; without any, the kernel's log is not asked, and the spool has what pytest itself knows of.
    """

    __slots__ = ("cookie", "salvage", "session", "sources", "spool", "target", "worker")

    def __init__(
        self,
        target: int,
        session: int | None,
        cookie: int,
        spool: str | None,
        worker: str = "null",
        salvage: list[str] | None = None,
        sources: tuple[str, ...] = SOURCES,
    ) -> None:
        self.target = target
        self.session = session
        self.cookie = cookie
        self.spool = spool
        self.worker = worker
        self.salvage = salvage
        self.sources = sources

    def message(self) -> Message:
        """As it is sent; the constructor takes its parts."""
        return (self.target, self.session, self.cookie, self.spool, self.worker, self.salvage, self.sources)
