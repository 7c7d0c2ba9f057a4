"""The kernel's seccomp records by one of two channels, and what may be missing among them.

Whoever reads them makes calls of its own that are logged, sentinels: the first says where the account begins, each
further one up to where it goes. Between two of them every audit event of the host has to have come, ours or not: then
none of ours is missing, whatever the reason could have been.
"""

from __future__ import annotations

import errno
import os
import select
import time

from pytest_seccomp.errors import BackendError
from pytest_seccomp.linux import audit_control, kmsg
from pytest_seccomp.linux.audit_log import AuditLog
from pytest_seccomp.linux.audit_serials import Serials
from pytest_seccomp.linux.process import status_field
from pytest_seccomp.linux.seccomp_record import LINE_START, LOG, actions_logged, parse_line, serial_of
from pytest_seccomp.recorder.refused import call_of, explained

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_seccomp.linux.seccomp_record import SeccompRecord

AUDIT, KMSG = "audit", "kmsg"
SOURCES = AUDIT, KMSG
"""The channels, the better one first."""

_ACTIONS_LOGGED = "kernel.seccomp.actions_logged"
_ANY_LINE_START = b"audit: type="
_OWN_SECONDS = 0.3


class SeccompLog:
    """The records that the kernel makes from now on; `open_log` makes one.

    `descriptor` is readable in a poll when there are some, or some were lost.
    """

    source: str
    descriptor: int

    def __init__(self, actions: Iterable[str]) -> None:
        """Raises BackendError where the kernel does not log one of `actions`, or not for everybody."""
        self._actions = frozenset(actions)
        self._serials = Serials()
        self._unreadable = self._told_unreadable = self._all_unreadable = 0
        self._told_dropped = self._all_missing = 0
        self.lost = 0
        """How many records, of any type and of anybody, are known not to have come; `losses` counts them."""
        self.notes: list[str] = []
        """What a user should know of the channel on this machine."""
        self._control = self._ask_control()
        for reason, remedy in self._conditions(self._control):
            raise BackendError(reason, remedy)

    def receive(self) -> list[SeccompRecord]:
        """The records that have come, of all actions and from the whole host, in the order in which they were made, but
        for calls that were made at a time; some thousand at most, and none when nothing is left. Raises OSError."""
        raise NotImplementedError

    def begin(self, serial: int) -> None:
        """The account begins after the record with this serial, a sentinel's."""
        self._serials.begin(serial)
        self._told_unreadable, self._told_dropped = self._unreadable, self._dropped()

    def missing(self, serial: int) -> int:
        """How many events between the beginning of the account and the record with this serial have not come, of those
        that have serials. They may be on the way: another process had its number, and was stopped before it could send.
        Raises ValueError before `begin`."""
        return self._serials.missing(serial)

    def losses(self, serial: int) -> list[str]:
        """Why records may be missing up to the one with this serial, a sentinel's: nothing where it is proved that none
        is. The account goes on from there. Raises ValueError before `begin`."""
        missing, dropped = self._serials.missing(serial), self._dropped() - self._told_dropped
        unreadable = self._unreadable - self._told_unreadable
        self.begin(serial)
        missing = max(missing, dropped)
        self.lost += missing + unreadable
        self._all_missing += missing
        self._all_unreadable += unreadable
        return self._in_words(missing, unreadable)

    def all_losses(self) -> list[str]:
        """The same for all that `losses` has told of."""
        return self._in_words(self._all_missing, self._all_unreadable)

    def _in_words(self, missing: int, unreadable: int) -> list[str]:
        found = []
        if missing:
            found.append(self._lost_in_words(missing))
        if unreadable:
            found.append(self._unreadable_in_words(unreadable))
        return found

    def conditions(self) -> list[str]:
        """Why the kernel may have lost records before it could send them, or not have made them: to be asked at the
        end, and where it can be asked at all, for it takes CAP_AUDIT_CONTROL."""
        before, self._control = self._control, self._ask_control()
        found = [reason for reason, _ in self._conditions(self._control)]
        if before is not None and self._control is not None and not self._control.made_all_since(before):
            # Somebody may have set it back in between: then it tells that some are missing, not how many
            count = max(0, self._control.lost - before.lost)
            self.lost += count
            words = _some(count, "audit") if count else "audit records were"
            found.append(f"{words} lost by the kernel before it could send them")
        return found

    def refuse_own_records(self) -> None:
        """Raise BackendError where this process's own calls are logged: to read that would make more of it, without
        end. Takes no time where it is under no filter."""
        if status_field("Seccomp") == "0":
            return
        own, poll, end = os.getpid(), select.poll(), time.monotonic() + _OWN_SECONDS
        poll.register(self.descriptor, select.POLLIN)
        left = _OWN_SECONDS
        while left > 0:
            left = end - time.monotonic()
            poll.poll(max(0, 1000 * left))  # and a last time after the end: this process may not have run until then
            if any(record.process.pid == own and record.call.action == LOG for record in self.receive()):
                raise BackendError(
                    "this process is under a filter itself that has each of its calls logged: it was started by a "
                    "pytest that is traced by the kernel's log",
                    "run it outside of that, or only the outer one traced and watched (--no-seccomp-trace and "
                    "--no-seccomp-deny-log switch the inner one off)",
                )

    def close(self) -> None:
        """Read no more."""
        raise NotImplementedError

    def _dropped(self) -> int:
        """How many messages the channel itself says that it has lost."""
        raise NotImplementedError

    def _lost_in_words(self, count: int) -> str:
        raise NotImplementedError

    def _unreadable_in_words(self, count: int) -> str:
        raise NotImplementedError

    def _conditions(self, control: audit_control.Status | None) -> list[tuple[str, str]]:
        """What keeps records from us from the beginning, and the remedies."""
        found = []
        try:
            missing = sorted(self._actions - actions_logged())
        except OSError as error:
            raise BackendError(
                f"this kernel does not say what it logs: {error}", "needs Linux 4.14 or newer"
            ) from error
        if missing:
            names = " ".join(missing)
            found.append((f"{_ACTIONS_LOGGED} lacks {names}: that is not logged", "add it with sysctl -w"))
        if control is not None and _excluded():
            reason = "an audit rule of this host excludes seccomp records (type 1326), for some processes at least"
            found.append((reason, "look for it with auditctl -l, in the exclude list"))
        return found

    def _ask_control(self) -> audit_control.Status | None:
        try:
            return audit_control.status()
        except OSError:
            return None  # without the capability, or in a namespace; without audit there are no records, which is seen


class _AuditMessages(SeccompLog):
    """By the multicast group of netlink's audit family."""

    source = AUDIT

    def __init__(self, actions: Iterable[str]) -> None:
        super().__init__(actions)
        if self._control is None:
            self.notes.append(
                "the kernel's own account of lost records is not known: that takes CAP_AUDIT_CONTROL in the initial "
                "pid namespace"
            )
        elif self._control.rate_limit:
            self.notes.append(
                f"the kernel makes {self._control.rate_limit} audit records a second at most (auditctl -r)"
            )
        try:
            self._log = AuditLog()
        except OSError as error:
            raise _explain_audit(error) from error
        self.descriptor = self._log.descriptor

    def receive(self) -> list[SeccompRecord]:
        add = self._serials.add
        while messages := self._log.receive():
            records = []
            for message in messages:
                if message.serial is not None:
                    add(message.serial)
                if message.record is not None:
                    records.append(message.record)
                elif message.unreadable:
                    self._unreadable += 1
            if records:
                return records
        return []

    def close(self) -> None:
        self._log.close()

    def _dropped(self) -> int:
        return max(self._log.dropped, self._log.overruns)

    def _lost_in_words(self, count: int) -> str:
        slow = "they came faster than they were read" if self._dropped() else "they did not come"
        return f"{_some(count, 'audit')} lost: {slow}"

    def _unreadable_in_words(self, count: int) -> str:
        return f"{_some(count, 'seccomp')} not as known kernels print them: is this Linux newer than this plugin?"


class _PrintedRecords(SeccompLog):
    """By what the kernel prints of its audit records, while no auditd takes them."""

    source = KMSG

    def __init__(self, actions: Iterable[str]) -> None:
        super().__init__(actions)
        self._limit = _print_limit()
        if self._limit is None:
            self.notes.append("lossy by nature: records are overwritten when they are not read at once")
        else:
            burst, seconds = self._limit
            self.notes.append(f"lossy by nature: the kernel prints {burst} records in {seconds} s (printk_ratelimit)")
        try:
            self._log = kmsg.open_at_end()
        except OSError as error:
            raise _explain_kmsg(error) from error
        self.descriptor = self._log.descriptor

    def receive(self) -> list[SeccompRecord]:
        while lines := self._log.receive():
            records = []
            for line in lines:
                if not line.startswith(_ANY_LINE_START):
                    continue
                record = parse_line(line)
                if record is not None:
                    records.append(record)
                elif line.startswith(LINE_START):
                    self._unreadable += 1
                serial = record.serial if record is not None else serial_of(line.partition(b" ")[2].partition(b" ")[2])
                if serial is not None:
                    self._serials.add(serial)
            if records:
                return records
        return []

    def close(self) -> None:
        self._log.close()

    def _dropped(self) -> int:
        # Not `missing`, which has lines of anybody, nor `suppressed`: what they cost is known by the serials
        return self._log.overruns

    def _lost_in_words(self, count: int) -> str:
        if self._limit is not None:
            burst, seconds = self._limit
            return f"{_some(count, 'audit')} not printed: the kernel prints {burst} in {seconds} s (printk_ratelimit)"
        return f"{_some(count, 'audit')} overwritten in the kernel's log before they were read"

    def _unreadable_in_words(self, count: int) -> str:
        return f"{_some(count, 'seccomp')} cut: the kernel's log has no room for the whole path of a program"

    def _conditions(self, control: audit_control.Status | None) -> list[tuple[str, str]]:
        found = super()._conditions(control)
        if control is not None and control.auditd:
            reason = f"auditd runs (process {control.auditd}) and gets the records: none is printed to the kernel's log"
            found.append((reason, "use audit, which sees them also then"))
        return found


def open_log(source: str, actions: Iterable[str]) -> SeccompLog:
    """Read one of SOURCES from now on. `actions` are those whose records are needed, by the names of
    seccomp_record.ACTIONS.

    Raises BackendError where they cannot be had: the capability that is missing, auditd, a rule of this host. That none
    comes all the same, as in another network namespace than the initial one, only a sentinel finds out.
    """
    return _AuditMessages(actions) if source == AUDIT else _PrintedRecords(actions)


def _some(count: int, kind: str) -> str:
    return f"{count:,} {kind} {'record was' if count == 1 else 'records were'}"


def _excluded() -> bool:
    try:
        return audit_control.may_be_excluded()
    except OSError:
        return False  # as where the state cannot be read: it is not known


def _print_limit() -> tuple[int, int] | None:
    """How many records are printed in how many seconds; None where there is no limit, or nobody knows."""
    numbers = []
    for name in ("printk_ratelimit_burst", "printk_ratelimit"):
        try:
            with open(f"/proc/sys/kernel/{name}", "rb") as file:
                numbers.append(int(file.read()))
        except OSError:
            return None
    burst, seconds = numbers
    return (burst, seconds) if seconds else None


def _explain_audit(error: OSError) -> BackendError:
    if call_of(error) in ("socket", "bind") and error.errno == errno.EPERM:
        return explained(error)  # the kernel asks for the capability later
    if error.errno in (errno.EPERM, errno.EACCES):
        return BackendError(
            "the kernel's audit messages are for those who have CAP_AUDIT_READ, which this process lacks",
            "run it as root, in a container with --cap-add=AUDIT_READ and the network of the host",
        )
    if error.errno == errno.EPROTONOSUPPORT:
        return BackendError("this kernel has no audit, or does not let this process use it", "needs CONFIG_AUDIT")
    if error.errno == errno.EINVAL:  # of podman's default profile, for one
        return BackendError(
            "a filter around this process refuses the socket of the kernel's audit messages (Invalid argument)",
            "allow it in the profile of the container (podman's own does with --cap-add=AUDIT_WRITE), beside "
            "--cap-add=AUDIT_READ and the network of the host",
        )
    return BackendError(f"the kernel's audit messages cannot be read: {error.strerror}", "use another source")


def _explain_kmsg(error: OSError) -> BackendError:
    match error.errno:
        case errno.ENOENT:
            return BackendError(f"there is no {kmsg.PATH} here", "give the container --device=/dev/kmsg")
        case errno.EPERM:
            return BackendError(
                f"{kmsg.PATH} is for those who have CAP_SYSLOG, which this process lacks",
                "run it as root, or have kernel.dmesg_restrict set to 0",
            )
        case errno.EACCES:
            return BackendError(f"{kmsg.PATH}: {error.strerror}", "run it as root, or let this user read it")
        case errno.ELOOP | errno.ENODEV:
            return BackendError(f"{kmsg.PATH} is not the kernel's log here: {error.strerror}", "remove it")
    return BackendError(f"{kmsg.PATH}: {error.strerror}", "use another source")
