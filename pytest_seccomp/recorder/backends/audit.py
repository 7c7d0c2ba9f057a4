"""The `audit` backend: the kernel logs every call of the traced threads, and the recorder reads its audit messages.

Needs CAP_AUDIT_READ and the initial network namespace: a filter that answers SECCOMP_RET_LOG, and the multicast group
of netlink's audit family. Whether a record is missing is known: the account of `kernel_log` goes from the first marker
call to the last.
"""

from __future__ import annotations

from pytest_seccomp.recorder import log_check, log_marks, log_recording
from pytest_seccomp.recorder.checked import Checked
from pytest_seccomp.recorder.kernel_log import AUDIT

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from pytest_seccomp.recorder.process import Recorder

READS_AT_ANY_TIME = True

CHECKED = (
    f"self-check passed: a child made {log_check.CALLS} system calls, and exactly these {log_check.CALLS} were recorded"
)

_IN_THE_LOG = "every call becomes a record of this host's audit, which auditd and journald store where they run"

attach = log_marks.attach


def self_check() -> Checked:
    """Trace a child that makes a known number of calls, and count them. Raises BackendError where they are not exactly
    those. For a process without other threads."""
    log = log_check.check(AUDIT)
    return Checked([_IN_THE_LOG, *log.notes], log)


def notes() -> list[str]:
    """What there is to know of this backend on this machine, where it works."""
    return [_IN_THE_LOG, *log_check.notes(AUDIT)]


def record(host: Recorder, checked: Checked) -> None:
    """Record until the session is over, or until pytest has ended."""
    log_recording.record(host, checked)
