"""The self-check of the `ebpf` backend: a child, and a child of that, make known calls, which are compared to what was
counted."""

from __future__ import annotations

import os

from pytest_seccomp.errors import BackendError
from pytest_seccomp.linux import bpf
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.recorder import labels
from pytest_seccomp.recorder.ebpf_counts import SlotCounts
from pytest_seccomp.recorder.ebpf_programs import bank_of

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from pytest_seccomp.recorder.ebpf_tracer import Tracer
    from pytest_seccomp.recorder.ledger import Counts

SLOT = 0
"""Where it is counted."""

CALLS = 50

_CHILD, _GRANDCHILD = labels.FIRST_TEST, labels.FIRST_TEST + 1


def expect_to_survive() -> None:
    """Raises BackendError where this process would be killed for bpf(2), as some sandboxes do: this is no reason for
    the recorder to end, which may use another backend. For a process without other threads."""
    pid = os.fork()
    if not pid:
        try:
            bpf.try_out()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    if status:
        raise BackendError(
            f"whoever calls bpf(2) is killed here, by signal {os.WTERMSIG(status)}",
            "allow the system call bpf in the profile of the container or sandbox around this process",
        )


def check(tracer: Tracer) -> None:
    """Raises BackendError where the counts are not exactly those. For a process without other threads."""
    cookie = int.from_bytes(os.urandom(8), "little") >> 2
    tracer.follow(cookie, SLOT)
    pid = os.fork()
    if not pid:
        try:
            _make_known_calls(cookie)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    counted = SlotCounts(tracer, SLOT, native().audit_arch)
    for label in (_CHILD, _GRANDCHILD):
        counts: Counts = {}
        counted.take(label, counts)
        made = counts.get(native().audit_arch << 32 | native().ioctl, 0)
        if made != CALLS or (label == _CHILD and len(counts) > 1):
            raise BackendError(
                f"of {CALLS} calls of the self-check {made} were counted",
                "look for a sandbox around this process that denies prctl(2); otherwise please report it",
            )


def _make_known_calls(cookie: int) -> None:
    from pytest_seccomp.linux import raw
    from pytest_seccomp.linux.marked import MarkedCalls

    calls = MarkedCalls(cookie)
    call, number, nowhere = raw.function(), raw.Word(native().ioctl), raw.Word(2**32 - 1)

    def mark(label: int) -> None:
        calls.mark(label, bank_of(label))

    def make() -> None:
        for _ in range(CALLS):
            call(number, nowhere)

    mark(_CHILD)
    make()
    mark(_GRANDCHILD)
    pid = os.fork()
    if not pid:
        make()
        os._exit(0)
    os.waitpid(pid, 0)
