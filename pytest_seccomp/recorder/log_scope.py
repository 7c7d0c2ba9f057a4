"""Which records of the kernel's log are of traced processes: by pytest's audit session, or where it has none of its own
by the scope of its descendants."""

from __future__ import annotations

from pytest_seccomp.recorder.scope import Scope

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from pytest_seccomp.linux.seccomp_record import SeccompRecord


class TracedProcesses:
    """pytest and what it starts, once `begin` has said how to know them."""

    def __init__(self) -> None:
        self._session: int | None = None
        self._scope: Scope | None = None
        self._pids: set[int] = set()
        self._left: dict[int, bytes] = {}
        self._unknown: dict[int, bytes] = {}

    def known(self) -> bool:
        """Whether `begin` was called."""
        return self._session is not None or self._scope is not None

    def begin(self, session: int | None, pid: int) -> None:
        """They are in an audit session of their own, or they are a process and its descendants. Raises
        ProcessLookupError."""
        if session is None:
            self._scope = Scope()
            self._scope.add(pid)
        self._session = session

    def are_looked_up(self) -> bool:
        """Whether they have to be looked up while they live."""
        return self._scope is not None

    def hold(self, record: SeccompRecord) -> bool:
        """Whether the record, of a call that passed, is of one of them."""
        process = record.process
        if self._scope is not None:
            found = self._scope.holds(process.pid, record.time_ms, process.session)
            if found is None:
                self._unknown.setdefault(process.pid, process.comm)
            return bool(found)
        if process.session == self._session:
            self._pids.add(process.pid)
            return True
        if process.pid in self._pids:
            # It has begun a session of its own, as a login does: the filter stays, what tells its records is gone
            self._left.setdefault(process.pid, process.comm)
        return False

    def refresh_ms(self) -> int | None:
        """In how many milliseconds `refresh_if_due` has something to do; None where it never has."""
        return None if self._scope is None else self._scope.refresh_ms()

    def refresh_if_due(self) -> None:
        """Look up descendants, before they end."""
        if self._scope is not None and self._scope.refresh_ms() == 0:
            self._scope.refresh()

    def reasons(self) -> list[str]:
        """Why records of theirs may not have been known for such."""
        found = []
        for pid, comm in self._left.items():
            found.append(
                f"process {pid} ({_text(comm)}) has left the audit session of the tests: what it called is not counted "
                "(a pytest that is traced itself, or a login; --no-seccomp-trace switches an inner trace off)"
            )
        if self._unknown:
            pid, comm = next(iter(self._unknown.items()))
            number = len(self._unknown)
            found.append(
                f"of short-lived processes ({number}, such as {pid}, {_text(comm)}) it is not known whether "
                "the tests started them: without CAP_AUDIT_CONTROL the tests of a user who has logged in have no audit "
                "session of their own"
            )
        return found


def _text(comm: bytes) -> str:
    return comm.decode("ascii", "backslashreplace")
