"""Calls that i386 also has as part of another one: socket is socketcall's first, msgget one of ipc's.

C libraries of 32-bit programs use these still. A filter sees which call it is, but not its arguments: they are in
memory. Sources: include/uapi/linux/net.h, include/uapi/linux/ipc.h, socketcall(2), ipc(2).
"""

from collections.abc import Iterator, Sequence

from pytest_seccomp.linux.architecture import I386
from pytest_seccomp.profile.conditions import Condition, Operator
from pytest_seccomp.profile.policy import Rule
from pytest_seccomp.trace.wanted import Wanted

_SOCKET_CALLS = (
    "socket", "bind", "connect", "listen", "accept", "getsockname", "getpeername", "socketpair", "send", "recv",
    "sendto", "recvfrom", "shutdown", "setsockopt", "getsockopt", "sendmsg", "recvmsg", "accept4", "recvmmsg",
    "sendmmsg",
)  # fmt: skip
_IPC_CALLS = {
    "semop": 1, "semget": 2, "semctl": 3, "semtimedop": 4, "msgsnd": 11, "msgrcv": 12, "msgget": 13, "msgctl": 14,
    "shmat": 21, "shmdt": 22, "shmget": 23, "shmctl": 24,
}  # fmt: skip
_IPC_NUMBER = 0xFFFF  # above these bits is a version

_PLACES = {name: ("socketcall", number, 0xFFFFFFFF) for number, name in enumerate(_SOCKET_CALLS, start=1)}
_PLACES |= {name: ("ipc", number, _IPC_NUMBER) for name, number in _IPC_CALLS.items()}


def carrier(rule: Rule) -> str | None:
    """The call that has the rule's call as a part of it on i386; None where there is none."""
    place = _PLACES.get(rule.call.name or "")
    return place[0] if place is not None and rule.call.arch in (None, I386.name) else None


def within(rule: Rule, architectures: Sequence[str]) -> Iterator[Rule]:
    """The rule for that part of `carrier(rule)` which is its call, if there is one and i386 is among the architectures.

    As libseccomp makes it: which part it is takes the place of what is said of the first argument, and conditions on
    others stay, although they then compare something else.
    """
    name = carrier(rule)
    if name is None or I386.name not in architectures:
        return
    _, number, mask = _PLACES[rule.call.name or ""]
    part = Condition(0, Operator.MASKED_EQ, number, mask)
    others = (condition for condition in rule.conditions if condition.index != 0)
    yield Rule(Wanted(f"{I386.name}:{name}", I386.name, name, None), rule.action, (part, *others))
