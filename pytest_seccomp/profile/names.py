"""A policy from calls and groups that a user names: allow=["@system-service"], deny=["@internet", "ptrace"].

Calls are named as everywhere (`openat`, `257`, `i386:socketcall`), groups with their `@`; a group may have a call for
one first argument only, of which the lower 32 bits count, for the kernel takes no more of it. It holds for all
architectures whose calls can come on the machine. On i386 a call like socket is also made by socketcall, with its
arguments in memory, where a filter does not see them: then the stricter of both is done, so that denying @internet
denies every socket that is made so.
"""

from collections.abc import Iterable, Iterator

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux.architecture import Architecture
from pytest_seccomp.profile.actions import ALLOW, Action
from pytest_seccomp.profile.architectures import COMPANIONS
from pytest_seccomp.profile.conditions import Condition, Operator
from pytest_seccomp.profile.groups import Member, find
from pytest_seccomp.profile.known import known_names
from pytest_seccomp.profile.multiplexed import within
from pytest_seccomp.profile.policy import Policy, Rule
from pytest_seccomp.trace.wanted import Wanted

_INT = 0xFFFFFFFF


def from_names(
    machine: Architecture,
    action: Action,
    *,
    allow: Iterable[str] | None = None,
    deny: Iterable[str] = (),
) -> Policy:
    """Give `action` to what is in `deny` and, where there is an `allow`, to all that is not in that. What is in both is
    denied.

    SeccompError for a name that no call or group has, with the nearest, and for an action that denies nothing.
    """
    if action.leniency >= ALLOW.leniency:
        raise SeccompError(f"{action} denies nothing: use errno:NAME, kill_process, kill_thread, trap or log")
    architectures = COMPANIONS[machine.name]
    rules = [rule for text in deny for rule in _rules(text, action)]
    carried = [part for rule in rules for part in within(rule, architectures)]
    if allow is not None:
        allowed = [rule for text in allow for rule in _rules(text, ALLOW)]
        rules += allowed
        carried += [part for rule in allowed if not rule.conditions for part in within(rule, architectures)]
    default = ALLOW if allow is None else action
    return Policy(default, [*rules, *carried], architectures, foreign=action)


def _rules(text: str, action: Action) -> Iterator[Rule]:
    if text.startswith("@"):
        yield from (_rule_of(member, action) for member in sorted(find(text).members()))
        return
    call = Wanted.parse(text)
    call.check_known(known_names())
    if call.number is not None and not -(2**31) <= call.number < 2**32:
        raise SeccompError(f"no system call has the number {call.number}: it has 32 bits")
    yield Rule(call, action)


def _rule_of(member: Member, action: Action) -> Rule:
    value = member.value
    conditions = () if value is None else (Condition(0, Operator.MASKED_EQ, value, _INT),)
    return Rule(Wanted(member.name, None, member.name, None), action, conditions)
