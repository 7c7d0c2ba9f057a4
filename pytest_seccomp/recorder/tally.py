"""What has been denied to the targets since it was last asked for."""

from __future__ import annotations

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from pytest_seccomp.linux.seccomp_record import SeccompRecord
    from pytest_seccomp.recorder.scope import Scope

    Denial = tuple[int, int, str, int, bytes, bytes | None, int]
    """AUDIT_ARCH_*, the call's number, the action's name, pid, comm, exe, count."""

_MOST = 100_000
"""Different denials, which a program can make without end: each with a name of its own."""

_MOST_NAMED = 3


class Tally:
    """Counts denials that are alike as one: same call, process, names and action."""

    __slots__ = ("_counts", "_dropped", "_scope", "_session", "_unknown")

    def __init__(self, session: int | None, scope: Scope | None) -> None:
        """`session` is the audit session whose records count, `scope` has the targets; None where there is none."""
        self._session = session
        self._scope = scope
        self._counts: dict[tuple[int, int, str, int, bytes, bytes | None], int] = {}
        self._unknown: dict[int, bytes] = {}
        self._dropped = 0

    def add(self, record: SeccompRecord) -> None:
        """A record of the kernel's log, anybody's."""
        call, process = record.call, record.process
        if not call.denied:
            return
        belongs: bool | None = process.session == self._session
        if not belongs and self._scope is not None:
            belongs = self._scope.holds(process.pid, record.time_ms, process.session)
        if belongs is None:
            self._unknown[process.pid] = process.comm
        if not belongs:
            return
        key = (call.audit_arch, call.number, call.action_name, process.pid, process.comm, process.exe)
        if key in self._counts:
            self._counts[key] += 1
        elif len(self._counts) < _MOST:
            self._counts[key] = 1
        else:
            self._dropped += 1

    def take(self) -> tuple[list[Denial], list[str]]:
        """The denials in order of their first records, and why there may be more; from now on it counts anew."""
        denials: list[Denial] = [(*key, count) for key, count in self._counts.items()]
        reasons = []
        if self._dropped:
            reasons.append(f"more than {_MOST} different denials at a time: {self._dropped} are left out")
        if self._unknown:
            reasons.append(self._unknown_in_words())
        self._counts, self._unknown, self._dropped = {}, {}, 0
        return denials, reasons

    def _unknown_in_words(self) -> str:
        first = list(self._unknown.items())[:_MOST_NAMED]
        named = [f"{pid} ({comm.decode(errors='backslashreplace')})" for pid, comm in first]
        more = f" and {len(self._unknown) - _MOST_NAMED} others" if len(self._unknown) > _MOST_NAMED else ""
        return (
            f"a call was denied to process {', '.join(named)}{more}, which ended before it could be seen whose it was: "
            "with CAP_AUDIT_CONTROL pytest has an audit session of its own, which tells"
        )
