"""What a policy does with a call: the actions of seccomp filters, as users name them and as filters return them.

Sources: seccomp(2), include/uapi/linux/seccomp.h.
"""

import difflib
import errno
from dataclasses import dataclass

from pytest_seccomp.errors import SeccompError

MAX_ERRNO = 4095
"""The largest error that a filter can give: the kernel makes any larger one this (seccomp.c, MAX_ERRNO)."""

_ACTION_MASK = 0xFFFF0000
_VERDICTS = {
    "kill_process": 0x80000000,
    "kill_thread": 0x00000000,
    "trap": 0x00030000,
    "errno": 0x00050000,
    "trace": 0x7FF00000,
    "log": 0x7FFC0000,
    "allow": 0x7FFF0000,
}
_NAMES = {verdict: name for name, verdict in _VERDICTS.items()}


@dataclass(slots=True, frozen=True)
class Action:
    """What happens to a call, with the kernel's meaning."""

    name: str
    """"kill_process", "kill_thread", "trap", "errno", "trace" (without a tracer the call fails with ENOSYS), "log" or
    "allow"."""
    data: int = 0
    """With "errno" the error's number, with "trace" the tracer's message (SECCOMP_RET_DATA); else 0."""

    @classmethod
    def parse(cls, text: str) -> "Action":
        """From `errno:EPERM`, `errno:1`, `kill_process`, `kill_thread`, `trap`, `trace`, `log`, `allow`; SeccompError,
        with the nearest name, for anything else."""
        name, colon, data = text.partition(":")
        if name not in _VERDICTS:
            nearest = _nearest(text)
            remedy = f"did you mean {nearest}?" if nearest else f"use errno:NAME or one of {', '.join(_VERDICTS)}"
            raise SeccompError(f"{text!r} is no action: {remedy}")
        if name != "errno":
            if colon:
                raise SeccompError(f"{text!r} is no action: {name} takes nothing after it")
            return cls(name)
        if not colon:
            raise SeccompError(f"{text!r} does not say which error: use errno:NAME, as in errno:EPERM")
        return cls(name, error_number(data))

    @classmethod
    def from_verdict(cls, verdict: int) -> "Action":
        """From what a filter returns. KeyError for SECCOMP_RET_USER_NOTIF, which no policy says."""
        name = _NAMES[verdict & _ACTION_MASK]
        return cls(name, verdict & ~_ACTION_MASK)

    @property
    def verdict(self) -> int:
        """What a filter returns: SECCOMP_RET_* with its data."""
        return _VERDICTS[self.name] | self.data

    @property
    def leniency(self) -> int:
        """Where the kernel compares the verdicts of several filters, that with the least number wins: as signed
        numbers, without their data (seccomp.c, seccomp_run_filters)."""
        verdict = _VERDICTS[self.name]
        return verdict - 2**32 if verdict & 0x80000000 else verdict

    def __str__(self) -> str:
        if self.name == "errno":
            return f"errno:{errno.errorcode.get(self.data, self.data)}"
        return f"{self.name}:{self.data}" if self.data else self.name


ALLOW = Action("allow")


def _nearest(text: str) -> str:
    """What was meant by a text that is no action; empty where nobody can tell."""
    if text.upper() in errno.errorcode.values():
        return f"errno:{text.upper()}"
    name = text.partition(":")[0]
    beginning = [known for known in _VERDICTS if name and known.startswith(name)]  # kill
    nearest = beginning or difflib.get_close_matches(name, _VERDICTS, n=1)
    return " or ".join("errno:NAME" if known == "errno" else known for known in nearest)


def error_number(text: str) -> int:
    """The number of an error by its name, as EPERM, or from its digits; SeccompError where there is none."""
    if text.isascii() and text.isdigit():
        if int(text) <= MAX_ERRNO:
            return int(text)
        raise SeccompError(f"{text} is no error: the largest is {MAX_ERRNO}")
    names = {name: number for number, name in errno.errorcode.items()}
    names |= {"EWOULDBLOCK": errno.EWOULDBLOCK, "EDEADLOCK": errno.EDEADLOCK, "ENOTSUP": errno.ENOTSUP}
    if text in names:
        return names[text]
    nearest = difflib.get_close_matches(text.upper(), names, n=1)
    remedy = f"did you mean {nearest[0]}?" if nearest else "name it as in EPERM, or give its number"
    raise SeccompError(f"{text!r} is no error: {remedy}")
