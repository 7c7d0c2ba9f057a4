"""The kernel's log up to now: all records that were made before a certain moment, or the reasons why they may not be
all."""

from __future__ import annotations

import select
import time

from pytest_seccomp.errors import BackendError
from pytest_seccomp.linux.seccomp_record import ACTIONS
from pytest_seccomp.recorder.kernel_log import KMSG, open_log
from pytest_seccomp.recorder.sentinel import Sentinel

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_seccomp.linux.seccomp_record import SeccompRecord

SECONDS = 2.0
"""How long a record may be on its way from the kernel to us. It takes 0.1 ms."""

_SECONDS_ONCE_LOST = 0.2
"""After a sentinel's record that did not come: the run is incomplete, and need not take seconds for each phase."""

_KMSG_ATTEMPTS = 4
"""Where the kernel prints ten records in five seconds, and somebody has just used them up."""


_BATCHES = 100


class Channel:
    """One of kernel_log.SOURCES, and a sentinel. `descriptor` is readable in a poll when there are records."""

    def __init__(self, source: str, take: Callable[[SeccompRecord], None], close_inherited: Callable[[], None]) -> None:
        """Open it: `take` gets all records that are made from now on, but for the sentinel's. `close_inherited` closes
        in the sentinel what only this process may hold.

        Raises BackendError where the records cannot be had, or do not come.
        """
        self._take = take
        self._close_inherited = close_inherited
        self._log = open_log(source, ACTIONS.values())
        try:
            self._log.refuse_own_records()
        except BackendError:
            self._log.close()
            raise
        self.source = source
        self.notes = self._log.notes
        self.descriptor = self._log.descriptor
        self._name, self._serial = b"", -1
        self._seconds = SECONDS
        self._sentinel = Sentinel(self._close_in_sentinel)
        for _ in range(_KMSG_ATTEMPTS if source == KMSG else 1):
            if self._wait_for_sentinel():
                self._log.begin(self._serial)
                self._seconds = SECONDS
                return
            self._sentinel.replace()
        self.close()
        raise _no_record(source, self.notes)

    def receive(self) -> bool:
        """Take some of what has come. Returns whether there was something."""
        records = self._log.receive()
        for record in records:
            if record.process.comm == self._name:
                self._serial = record.serial
            else:
                self._take(record)
        return bool(records)

    def sync(self) -> list[str]:
        """Take all records that were made before now. Returns why they may not be all; nothing where they are, which
        is proved."""
        came = self._wait_for_sentinel()
        self._seconds = SECONDS if came else _SECONDS_ONCE_LOST
        if came:
            return self._log.losses(self._serial)
        self._sentinel.replace()
        return [f"the kernel's log ({self.source}) does not come: no record of a call made now within {SECONDS:.0f} s"]

    def conditions(self) -> list[str]:
        """Why the kernel may not have made or sent records at all, as far as it says."""
        return self._log.conditions()

    def close(self) -> None:
        """End the sentinel, and read no more."""
        self._sentinel.close()
        self._log.close()

    def _wait_for_sentinel(self) -> bool:
        """Whether the record of a call that is made now has come, after all others that were made before."""
        attempts = 2
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        for _ in range(_BATCHES):  # where the buffer is full, the sentinel's record would be lost as well
            if not self.receive():
                break
        self._serial = -1
        self._name = self._sentinel.ask()
        deadline = time.monotonic() + self._seconds  # to read what there was may have taken longer
        poll.register(self._sentinel.descriptor, 0)
        while True:
            self.receive()
            if self._all_there():
                return True
            ready = poll.poll(max(0, int(1000 * (deadline - time.monotonic()))))
            if not ready:
                return self._serial >= 0
            if any(descriptor == self._sentinel.descriptor for descriptor, _ in ready):
                # It has ended: killed, with or without its record on the way. Another one can prove as much
                attempts -= 1
                poll.unregister(self._sentinel.descriptor)
                if attempts:
                    self._name = self._sentinel.ask()
                    poll.register(self._sentinel.descriptor, 0)

    def _all_there(self) -> bool:
        if self._serial < 0:
            return False
        try:
            return self._log.missing(self._serial) == 0
        except ValueError:
            return True  # the first of all

    def _close_in_sentinel(self) -> None:
        self._log.close()
        self._close_inherited()


def _no_record(source: str, notes: list[str]) -> BackendError:
    reason = "it can be opened, but no record of a call made now comes"
    if source == KMSG:
        return BackendError(
            "; ".join([reason, *notes]), "use audit, or set kernel.printk_ratelimit to 0 for the time of the run"
        )
    return BackendError(
        f"{reason}: this network namespace is not the initial one, a rule of auditctl excludes it, or seccomp does not "
        "log here",
        "use the network of the host (--network=host), look at auditctl -l",
    )
