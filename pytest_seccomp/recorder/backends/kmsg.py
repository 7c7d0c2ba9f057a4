"""The `kmsg` backend: the kernel logs every call of the traced threads, and the recorder reads what it prints of that.

For where nothing else works: needs a readable /dev/kmsg and no auditd. Lossy by nature, for the kernel prints few
records and overwrites them; how many did not come is known by their serials.
"""

from __future__ import annotations

from pytest_seccomp.recorder import log_check, log_marks, log_recording
from pytest_seccomp.recorder.checked import Checked
from pytest_seccomp.recorder.kernel_log import KMSG

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from pytest_seccomp.recorder.process import Recorder

READS_AT_ANY_TIME = True

CHECKED = "self-check passed: a child made system calls, and a record of them was printed"

_BETTER = "notify needs no privilege, and audit only CAP_AUDIT_READ: both miss nothing"

attach = log_marks.attach


def self_check() -> Checked:
    """Trace a child, and look for the record of a call that it made. Raises BackendError where none comes. For a
    process without other threads."""
    log = log_check.check(KMSG)
    return Checked([*log.notes, _BETTER], log)


def notes() -> list[str]:
    """What there is to know of this backend on this machine, where it works."""
    return [*log_check.notes(KMSG), _BETTER]


def record(host: Recorder, checked: Checked) -> None:
    """Record until the session is over, or until pytest has ended."""
    log_recording.record(host, checked)
