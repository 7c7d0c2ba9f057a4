"""The sentinel: a child whose calls are logged, made on request, to know that all records that were made before have
come.

Its records are known by the name of its thread, which is another one for each call: the numbers of calls that do not
exist, which could carry it as well, are denied by the filters around containers before anybody logs them.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` costs 3 ms at start
import os

from pytest_seccomp.linux.architecture import native

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable

_NUMBER_LENGTH = 4


class Sentinel:
    """The child, and its parent's end of the pipe to it. `descriptor` gives POLLERR in a poll when it has ended."""

    def __init__(self, close_inherited: Callable[[], None]) -> None:
        """Start it. `close_inherited` closes in the child what only its parent may hold."""
        self._token = os.urandom(4).hex()
        self._number = 0
        self._close_inherited = close_inherited
        self._start()

    def ask(self) -> bytes:
        """Have it make a call; returns the name that the record will have. One that has ended is replaced."""
        self._number += 1
        data = self._number.to_bytes(_NUMBER_LENGTH, "little")
        try:
            os.write(self.descriptor, data)
        except BrokenPipeError:
            self.replace()
            os.write(self.descriptor, data)
        return self._name(self._number)

    def replace(self) -> None:
        """Start another one in place of one that does not answer."""
        try:
            # It finds them imported: nobody waits for it as long as for the first
            from pytest_seccomp.linux import parent, process, raw, seccomp  # noqa: F401
        except (ImportError, OSError):
            pass  # nor can it
        self.close()
        self._start()

    def close(self) -> None:
        """End it."""
        os.close(self.descriptor)
        os.kill(self.pid, _signal.SIGKILL)  # it may have been stopped; not waited for yet, so that no other has its pid
        os.waitpid(self.pid, 0)

    def _start(self) -> None:
        parent = os.getpid()
        requests, self.descriptor = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(requests)
            return
        try:
            os.close(self.descriptor)
            self._close_inherited()
            self._serve(requests, parent)
        finally:
            os._exit(0)

    def _serve(self, requests: int, parent: int) -> None:
        from pytest_seccomp.linux import process, raw, seccomp  # which bring ctypes along
        from pytest_seccomp.linux.parent import end_with

        end_with(parent)
        if not process.has_capability(process.CAP_SYS_ADMIN):
            seccomp.set_no_new_privs()
        name, ioctl = os.open("/proc/self/comm", os.O_WRONLY), native().ioctl
        seccomp.install(
            seccomp.load(seccomp.OFFSET_NUMBER)
            + seccomp.unless_equal(ioctl, 1)
            + seccomp.verdict(seccomp.RET_LOG)
            + seccomp.verdict(seccomp.RET_ALLOW)
        )
        call, number, nowhere = raw.function(), raw.Word(ioctl), raw.Word(2**32 - 1)
        while data := os.read(requests, _NUMBER_LENGTH):
            os.write(name, self._name(int.from_bytes(data, "little")))
            call(number, nowhere)

    def _name(self, number: int) -> bytes:
        return f"{self._token}{number & 0xFFFFFFF:07x}".encode()
