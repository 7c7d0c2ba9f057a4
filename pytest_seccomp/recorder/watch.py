"""pytest's side of the watcher of the kernel's log: what has been denied to the targets.

Nothing here makes a system call that would be in a trace: messages carry the cookie.
"""

import _socket
import errno
import os
import struct
from dataclasses import dataclass

from pytest_seccomp.errors import RecorderError
from pytest_seccomp.linux.marked import MarkedCalls
from pytest_seccomp.recorder import protocol, starting, watching

_CALLED = "the watcher of the kernel's log"

_ANSWER_SECONDS = 10
"""More than the watcher takes for any answer: it waits for the kernel no longer than channel.SECONDS."""


@dataclass(slots=True, frozen=True)
class Denied:
    """Calls that the kernel logged as denied: equal ones, since the last sync."""

    audit_arch: int
    """AUDIT_ARCH_*"""
    syscall: int
    """The system call's number."""
    action: str
    """"errno", "kill_process", ... as in /proc/sys/kernel/seccomp/actions_logged; "0x%08x" of an unknown one."""
    pid: int
    """The process, in the initial pid namespace."""
    comm: str
    """The name of the thread; what is not UTF-8 is escaped as in paths (PEP 383), here and in `exe`."""
    exe: str | None
    """The path of the executable, None where the process had none any more."""
    count: int


@dataclass(slots=True, frozen=True)
class Seen:
    """What came of a sync."""

    denials: list[Denied]
    """All that the kernel logged before the sync and that no earlier one has told, in order of their first record."""
    complete: bool
    """Whether these are all, proved."""
    reasons: list[str]
    """Why they may not be."""


class Watch:
    """The connection of a pytest process to its watcher.

    `alive` turns false when the watcher does not answer any more; each sync from then on is incomplete, and says why.
    """

    def __init__(self, control: _socket.socket, cookie: int) -> None:
        self._control = control
        self._descriptor = control.fileno()
        self._decoder = protocol.Decoder()
        self._calls = MarkedCalls(cookie)
        self._number = 0
        self._overtaken: list[protocol.Message] = []
        """Answers to syncs that a signal handler has broken off by an exception: the next one tells what is in them."""
        self._in_a_phase = False
        self._silent = False
        self._end = ""
        self.source = ""
        """The channel to the kernel's log, one of kernel_log.SOURCES."""
        self.notes: list[str] = []
        """What a user should know of it here."""

    def wait_until_ready(self) -> None:
        """Wait until the watcher has found out what it can see. Raises BackendError or RecorderError."""
        _, source, notes = starting.wait_until_ready(self._control, self._decoder, _CALLED)
        self.source = str(source)
        self.notes = [str(note) for note in notes]  # type: ignore[attr-defined]
        # Of the kernel, not of Python, which would have to poll: a system call without the cookie
        for option in (_socket.SO_RCVTIMEO, _socket.SO_SNDTIMEO):
            self._control.setsockopt(_socket.SOL_SOCKET, option, struct.pack("@ll", _ANSWER_SECONDS, 0))
        os.register_at_fork(after_in_child=self._in_a_child)

    @property
    def alive(self) -> bool:
        """Whether the watcher answers."""
        return not self._end

    def phase(self, nodeid: str, phase: str, rerun: int) -> None:
        """From here on it is this phase of this test that runs, which the watcher has to know where pytest dies in it;
        `nodeid` is a JSON value.

        Up to the next sync a child that is forked is taken for one of the code under test, which is silent: it says
        nothing to the watcher, also where it comes back into pytest, as sys.exit() in a test does, and its syncs give
        nothing. One that is forked in between speaks for pytest (pytest-forked).
        """
        self._in_a_phase = True
        self._send("phase", nodeid, phase, rerun)

    def sync(self) -> Seen:
        """Ask for all that the kernel logged before now; never raises. Takes 0.1 ms, or two seconds where the kernel's
        log does not come, which is incomplete then."""
        return self._seen("sync")

    def add(self, pid: int, cgroup: str | None = None) -> None:
        """Watch another process, its descendants, its pid namespace if that is not the initial one, and the members of
        a cgroup: its path, below the mount point of the hierarchy of version 2 or as /proc/PID/cgroup has it.

        Counts what is denied from now on. Raises RecorderError where there is no such process or cgroup.
        """
        if not self._silent:
            reason = self._request("add", pid, cgroup)[2]
            if reason is not None:
                raise RecorderError(str(reason))

    def remove(self, pid: int) -> None:
        """Do not watch a process any more, nor what came with it: what was denied before counts, what comes later does
        not. Raises RecorderError where the watcher does not answer."""
        if not self._silent:
            self._request("remove", pid)

    def write(self, lines: str) -> None:
        """Append whole lines to the spool, "\\n" between them or at their end, too. What was told before is judged by
        them: what is not, the watcher writes itself, as unexpected, when the spool ends."""
        self._send("write", lines.rstrip("\n"))

    def finish(self) -> Seen:
        """The last sync, with what the kernel itself says of records that it has lost in all the time."""
        return self._seen("finish")

    def close_spool(self, reasons: list[str]) -> bool:
        """End the spool, after the last `write`. It says that it is complete only without `reasons`, if no sync was
        incomplete, and if all was written: returns which."""
        if self._silent:
            return True
        try:
            return bool(self._request("close", reasons)[2])
        except RecorderError:
            return False  # a spool without an end is incomplete

    def merged(self) -> None:
        """The run has its file, or will have none: nobody has to write it in pytest's place."""
        self._send("merged")

    def close(self) -> None:
        """End the connection; the watcher ends with pytest."""
        try:
            self._control.close()
        except OSError:
            pass  # EBADF: the code under test has closed it already

    def _seen(self, request: str) -> Seen:
        self._in_a_phase = False
        if self._silent:
            return Seen([], True, [])
        reasons: list[str] = []
        try:
            self._overtaken.append(self._request(request))
        except RecorderError as error:
            reasons.append(str(error))
        found: list[Denied] = []
        for _, _, denials, others in self._overtaken:
            found += [_denied(*denial) for denial in denials]  # type: ignore[attr-defined]
            reasons += others  # type: ignore[arg-type]
        self._overtaken.clear()
        return Seen(found, not reasons, reasons)

    def _in_a_child(self) -> None:
        self._silent = self._silent or self._in_a_phase

    def _request(self, *message: object) -> protocol.Message:
        """Send a message and wait for its answer. Raises RecorderError where none comes."""
        self._number += 1
        self._send(message[0], self._number, *message[1:])
        while self.alive:
            try:
                data = self._calls.receive(self._descriptor)
            except OSError as error:
                self._has_ended(error)
                break
            if not data:
                self._end = watching.DIED
            for answer in self._decoder.feed(data):
                if answer[1] == self._number:
                    return answer
                if answer[0] == "seen":
                    self._overtaken.append(answer)
        raise RecorderError(self._end)

    def _send(self, *message: object) -> None:
        data = b"" if self._silent else protocol.encode(message)
        try:
            while data and self.alive:
                data = data[self._calls.send(self._descriptor, data, wait=True) :]
        except OSError as error:
            self._has_ended(error)

    def _has_ended(self, error: OSError) -> None:
        if error.filename not in ("sendmsg", "recvmsg"):
            raise error  # by a signal handler: TimeoutError is an OSError, too
        match error.errno:
            case errno.EBADF | errno.ENOTSOCK:
                self._end = watching.CLOSED
            case errno.EAGAIN:
                self._end = watching.SILENT
            case _:
                self._end = watching.DIED


def start(settings: watching.Settings) -> Watch:
    """Start a watcher and wait until it reads the kernel's log: all that is denied from now on is seen.

    Raises BackendError where it cannot be read, with the capability that is missing and what can be watched without it,
    and RecorderError where the watcher does not start.
    """
    control = starting.start("pytest_seccomp.recorder.watcher", settings.message(), _CALLED)
    watch = Watch(control, settings.cookie)
    try:
        watch.wait_until_ready()
    except BaseException:
        watch.close()
        raise
    return watch


def _denied(audit_arch: int, syscall: int, action: str, pid: int, comm: bytes, exe: bytes | None, count: int) -> Denied:
    return Denied(audit_arch, syscall, action, pid, _text(comm), None if exe is None else _text(exe), count)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
