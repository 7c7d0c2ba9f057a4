"""The audit session of pytest's process: one for all that want to know its records, begun by the first that asks."""

import os

from pytest_seccomp.linux import audit_session

_begun: dict[int, int] = {}
"""By pid: a child that was forked may begin one of its own."""


def own_session() -> int | None:
    """The audit session that this process shares with its descendants alone, begun where there is none yet: it is that
    of the calling thread and of all that it starts from then on.

    None where it cannot be had: without CAP_AUDIT_CONTROL in a process whose login user id was set before, or in a
    kernel without audit. Changes the process's login user id.
    """
    process = os.getpid()
    if process not in _begun:
        try:
            _begun[process] = audit_session.begin()
        except OSError:
            return None
    return _begun[process]
