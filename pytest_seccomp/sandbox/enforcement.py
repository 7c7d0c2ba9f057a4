"""What becomes of a call that waits for the supervisor: the kernel's meaning of each action.

errno and trace (without a tracer: ENOSYS) are answers, log and allow let the call go on, kill and trap are the kernel's
to give (see `verdicts`). What is denied is looked at while its thread waits, and told when it has got its answer.
"""

import errno
from typing import NamedTuple

from pytest_seccomp.linux.caller import Caller, caller
from pytest_seccomp.linux.waiting import WaitingCall
from pytest_seccomp.profile.actions import Action
from pytest_seccomp.sandbox import paths, verdicts
from pytest_seccomp.sandbox.cookies import is_the_kernels
from pytest_seccomp.sandbox.filter import Filter


class Seen(NamedTuple):
    """A call that was denied, or is logged, as `records` takes it."""

    call: int
    action: str
    error: int
    caller: Caller
    arguments: tuple[int, ...]
    texts: dict[int, str]
    exact: bool


def denied(call: WaitingCall, verdict: int, rules: Filter) -> Seen | None:
    """Give a waiting call a verdict that does not let it pass. None where it waits no more: then it was not denied, and
    may come again."""
    action = Action.from_verdict(verdict)
    who, texts = caller(call.tid), paths.texts(call)
    exact, error = True, 0
    try:
        if not call.waits():
            return None  # and what was looked at may be another's
        if is_the_kernels(verdict):
            exact = verdicts.give(call, verdict, rules.cookie_of(verdict))
        else:
            error = action.data if action.name == "errno" else errno.ENOSYS
            call.answer(error)
    except FileNotFoundError:
        return None
    return Seen(call.arch << 32 | call.number, action.name, error, who, call.arguments, texts, exact)


def logged(call: WaitingCall) -> Seen:
    """What there is to tell of a call that is let pass, before it is."""
    return Seen(call.arch << 32 | call.number, "log", 0, caller(call.tid), call.arguments, paths.texts(call), True)
