"""Whose records of the kernel's log count, where the audit session does not say it: targets, and what belongs to them.

To a target belong its descendants, the members of its cgroup, and those of its pid namespace. A record has nothing of
this but a pid, and its process may have ended, or its pid be another's, before anybody looks. So whatever belongs to a
target is looked up every 250 ms and when an unknown pid turns up, and remembered with the time of its start until
5 s after it was last seen alive.
"""

from __future__ import annotations

import time

from pytest_seccomp.linux.proc import INITIAL_PID_NAMESPACE, Processes
from pytest_seccomp.linux.seccomp_record import NO_ID

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_seccomp.linux.cgroup import Cgroup
    from pytest_seccomp.linux.proc import Stat

REFRESH_SECONDS = 0.25
"""How long what was looked up is taken for true. A pid is not given to another process as soon as that: the kernel
gives all others first."""

_SHARE = 10
"""Where there are thousands of processes, looking them up takes no more than this part of the time."""

REMEMBER_SECONDS = 5.0
"""How long a process that has ended is remembered: its records come later than they were made."""

_TICK_MS = 10
_SLACK_MS = 100
"""By how much a record may seem to be older than its process: its time is that of the kernel's coarse clock, the start
is in ticks, and the distance of the two clocks is known at another moment."""


class _Target:
    __slots__ = ("cgroup", "namespace", "pid")

    def __init__(self, pid: int, namespace: int | None, cgroup: Cgroup | None) -> None:
        self.pid = pid
        self.namespace = namespace
        self.cgroup = cgroup


class _Member:
    """A process that belongs to targets."""

    __slots__ = ("seen", "session", "start", "targets")

    def __init__(self, start: int | None, session: int | None, seen: float, targets: set[_Target]) -> None:
        self.session = session
        self.start = start
        """In clock ticks since the boot; None where it had ended before it could be asked."""
        self.seen = seen
        """When it was last alive, by the scope's clock."""
        self.targets = targets


class Scope:
    """The targets, and the processes that are known to belong to them."""

    def __init__(
        self,
        processes: Processes | None = None,
        clock: Callable[[], float] = time.monotonic,
        boot_ms: Callable[[], float] = lambda: 1000 * (time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)),
        session: int | None = None,
    ) -> None:
        """`clock` gives seconds, and `boot_ms` when the machine was started, in milliseconds since the epoch.
        `session` is an audit session that is new when the watch begins; None where there is none."""
        self._processes = Processes() if processes is None else processes
        self._clock = clock
        self._boot_ms = boot_ms
        self._targets: list[_Target] = []
        self._members: dict[int, _Member] = {}
        self._newest = NO_ID if session is None else session
        self._sessions: dict[int, set[_Target]] = {}
        """Audit sessions that members have begun, as logins do, and a pytest that is watched itself: nobody else can
        enter them. They are numbered, so that those which others had before are older than ours."""
        self._others: set[int] = set()
        """Processes that were found to be no members, since the last refresh."""
        self._due = 0.0

    def add(self, pid: int, cgroup: Cgroup | None = None) -> None:
        """One more target: a process, and the members of a cgroup. Raises ProcessLookupError."""
        stat = self._processes.stat(pid)
        if stat is None:
            raise ProcessLookupError(f"no process {pid}")
        namespace = self._processes.pid_namespace(pid)
        if namespace == INITIAL_PID_NAMESPACE:
            namespace = None
        target = _Target(pid, namespace, cgroup)
        self._targets.append(target)
        self._join(pid, stat.start, {target})
        self.refresh()

    def remove(self, pid: int) -> None:
        """One less, with what belongs to no other one."""
        gone = {target for target in self._targets if target.pid == pid}
        self._targets = [target for target in self._targets if target not in gone]
        for member, known in list(self._members.items()):
            known.targets -= gone
            if not known.targets:
                del self._members[member]
        for session, targets in list(self._sessions.items()):
            targets -= gone
            if not targets:
                del self._sessions[session]

    def holds(self, pid: int, time_ms: int, session: int) -> bool | None:
        """Whether a record belongs to a target, by its pid, time and audit session.

        None where it cannot be known: its process has ended, nobody had seen it, and its session is that of somebody
        who belongs to a target. (A process has the session of the one that started it, but for logins and the like.)
        """
        if not self._targets:
            return False
        now = self._clock()
        if now >= self._due:
            self.refresh()
        if session in self._sessions:
            return True
        member = self._members.get(pid)
        if member is not None and now - member.seen < REFRESH_SECONDS:
            self._has_entered(member, session)
            return True
        stat = self._processes.stat(pid)
        if stat is None or time_ms < self._boot_ms() + stat.start * _TICK_MS - _SLACK_MS:
            # Of a process that has ended, whoever has its pid now
            if member is not None:
                self._has_entered(member, session)
                return True
            return None if any(other.session == session for other in self._members.values()) else False
        if member is not None and member.start == stat.start:
            self._has_entered(member, session)
            return True
        if pid in self._others or not self._belongs(pid, stat):
            self._others.add(pid)
            return False
        self.refresh()  # where there is one, there may be more
        return True

    def refresh_ms(self) -> int | None:
        """In how many milliseconds `refresh` is due; None where there is nothing to look up."""
        if not self._targets:
            return None
        return max(0, int(1000 * (self._due - self._clock())))

    def refresh(self) -> None:
        """Look up what belongs to the targets now, and forget what ended long ago."""
        now = self._clock()
        self._others.clear()
        alive = []
        for pid, member in list(self._members.items()):
            stat = self._processes.stat(pid)
            if stat is not None and stat.start == member.start:
                member.seen = now
                self._follow(member, self._processes.audit_session(pid))
                alive.append(pid)
            elif now - member.seen >= REMEMBER_SECONDS:
                del self._members[pid]
        for target in self._targets:
            if target.cgroup is not None:
                alive += self._join_all(target.cgroup.members(), {target})
            if target.namespace is not None:
                same = [pid for pid in self._processes.all() if self._processes.pid_namespace(pid) == target.namespace]
                alive += self._join_all(same, {target})
        while alive:
            pid = alive.pop()
            parent = self._members[pid]
            alive += self._join_all(self._processes.children(pid), parent.targets, parent)
        self._due = now + max(REFRESH_SECONDS, _SHARE * (self._clock() - now))

    def _join_all(self, pids: Iterable[int], targets: set[_Target], parent: _Member | None = None) -> list[int]:
        """Returns those that were no members of these targets before."""
        found = []
        for pid in pids:
            stat = self._processes.stat(pid)
            if self._join(pid, None if stat is None else stat.start, targets, parent):
                found.append(pid)
        return found

    def _join(self, pid: int, start: int | None, targets: set[_Target], parent: _Member | None = None) -> bool:
        member = self._members.get(pid)
        if member is None or (start is not None and member.start != start):
            session = self._processes.audit_session(pid)
            member = _Member(start, session if parent is None else parent.session, self._clock(), set(targets))
            self._members[pid] = member
            self._follow(member, session)
            return True
        new = not targets <= member.targets
        member.targets |= targets
        return new

    def _follow(self, member: _Member, session: int | None) -> None:
        """Whoever has another session than before, or than its parent, or an ancestor of it, has begun it."""
        if session is None or session == member.session:
            return
        member.session = session
        if self._newest < session < NO_ID:
            self._sessions.setdefault(session, set()).update(member.targets)

    def _has_entered(self, member: _Member, session: int) -> None:
        """A record says it, before the member was looked up again: what it has started since may have ended by then. A
        record may be late: of two sessions of a process the later one has the higher number."""
        if member.session in (None, NO_ID) or session > member.session:
            self._follow(member, session)

    def _belongs(self, pid: int, stat: Stat) -> bool:
        """Whether a process is a member that no refresh has found, because it is that new or because a sibling ended
        while the children were listed. If so it is one from now on."""
        targets = {
            target
            for target in self._targets
            if (target.namespace is not None and self._processes.pid_namespace(pid) == target.namespace)
            or (target.cgroup is not None and target.cgroup.holds(self._processes.cgroup(pid) or b""))
        }
        ancestor, ancestors, nearest = stat, {pid}, None
        while ancestor.parent not in ancestors:
            ancestors.add(ancestor.parent)
            parent, member = self._processes.stat(ancestor.parent), self._members.get(ancestor.parent)
            if parent is None:
                break
            if member is not None and member.start == parent.start:
                nearest = member
                targets |= member.targets
                break
            ancestor = parent
        if targets:
            self._join(pid, stat.start, targets, nearest)
        return bool(targets)
