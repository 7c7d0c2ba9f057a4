"""What pytest was told of a sandbox: counts and denials, all up to a moment or what has come since another."""

import errno
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytest_seccomp.errors import SandboxError
from pytest_seccomp.sandbox.records import Report
from pytest_seccomp.trace.called import Calls
from pytest_seccomp.trace.denials import CALL, Denial

NOT_RECORDED = (
    "the calls of this sandbox were not recorded, because what its policy allows runs without being asked for: "
    "give it record=True, or run pytest with --seccomp-trace"
)


@dataclass(slots=True, frozen=True)
class Told:
    """What a sandbox did."""

    counts: dict[int, int] | None
    """By AUDIT_ARCH_* << 32 | number, without what was denied; None where it was not recorded."""
    denied: tuple[Denial, ...]
    """What was denied, in the order in which it came first; equal ones are one. Who looks at it says whose it is: until
    then `nodeid` is None."""
    logged: tuple[Denial, ...]
    """What the policy's action `log` has let pass."""
    reasons: tuple[str, ...] = ()
    """Why something may be missing; empty where it is certain that nothing is."""

    @property
    def complete(self) -> bool:
        """Whether it is certain that nothing is missing."""
        return not self.reasons

    @property
    def syscalls(self) -> Calls:
        """The calls that were made. SandboxError where they were not recorded."""
        if self.counts is None:
            raise SandboxError(NOT_RECORDED)
        return Calls(self.counts, platform.machine())

    def since(self, before: "Told | None") -> "Told":
        """What has come since, reasons included."""
        if before is None:
            return self
        counts = self.counts
        if counts is not None and before.counts is not None:
            counts = {call: count - before.counts.get(call, 0) for call, count in counts.items()}
            counts = {call: count for call, count in counts.items() if count}
        return Told(
            counts,
            _since(self.denied, before.denied),
            _since(self.logged, before.logged),
            tuple(reason for reason in self.reasons if reason not in before.reasons),
        )

    @property
    def is_empty(self) -> bool:
        """Whether nothing was done, and nothing is missing."""
        return not (self.counts or self.denied or self.logged or self.reasons)

    @classmethod
    def from_report(cls, report: Report, *, recorded: bool) -> "Told":
        """From what a supervisor has sent."""
        counts, records = report
        seen = [_denial(*record) for record in records]  # type: ignore[arg-type]
        return cls(
            counts if recorded else None,
            tuple(denial for denial in seen if denial.action != "log"),
            tuple(denial for denial in seen if denial.action == "log"),
        )


def _since(now: Sequence[Denial], before: Sequence[Denial]) -> tuple[Denial, ...]:
    # They keep their order, and only counts grow
    changed = [replace(one, count=one.count - other.count) for one, other in zip(now, before, strict=False)]
    return (*(one for one in changed if one.count), *now[len(before) :])


def _denial(
    call: int,
    action: str,
    error: int,
    pid: int,
    comm: bytes,
    exe: bytes | None,
    arguments: tuple[int, ...] | None,
    texts: tuple[tuple[int, str], ...],
    exact: bool,
    count: int,
) -> Denial:
    number = call & 0xFFFFFFFF
    return Denial.seen(
        call >> 32,
        number - 2**32 if number >> 31 else number,
        nodeid=None,
        phase=CALL,
        rerun=0,
        count=count,
        action=action,
        errno=errno.errorcode.get(error, str(error)) if error else None,
        pid=pid,
        comm=comm.decode(errors="backslashreplace"),
        exe=None if exe is None else os.fsdecode(exe),
        args=arguments,
        source="notify",
        expected=False,
        paths=texts,
        exact=exact,
    )
