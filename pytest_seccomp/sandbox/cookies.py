"""The filter of a sandbox: it asks the supervisor for all that its policy does not allow, but gives a call that comes
back with a cookie in its sixth argument the verdict of the policy itself.

A supervisor can let a call fail, or pass, but not end a thread or send a trap as a filter does. So for these verdicts
(kill_process, kill_thread, trap) it gives the call back to the kernel, changed in nothing but its sixth argument; see
`verdicts`. The cookies are random, 32 bits wide, because i386 has no more, and the upper half of the argument is 0.

The sixth argument is compared only where the policy's own answer is such a verdict. So a call that the policy allows
is never hit by a cookie, and one that is always allowed stays in the kernel's cache of these (seccomp.c,
seccomp_cache_prepare), for which it does not even run the filter. A policy that itself looks at the sixth argument
would decide anew, by the cookie: before its filter the comparisons come first.

Pure.
"""

import os

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux import seccomp
from pytest_seccomp.profile.bpf import IF_EQUAL, JUMP, LOAD, LONGEST_PROGRAM, RETURN, Instruction, load, verdict

KILL_PROCESS = 0x80000000
KILL_THREAD = 0x00000000
TRAP = 0x00030000
_ACTION = 0xFFFF0000

SIXTH = 5
"""Index of the argument that carries the cookie."""


def action(value: int) -> int:
    """A verdict without its data."""
    return value & _ACTION


def is_the_kernels(value: int) -> bool:
    """Whether only the kernel can give this verdict."""
    return action(value) in (KILL_PROCESS, KILL_THREAD, TRAP)


class Cookies:
    """A cookie for each verdict of a policy's filter that only the kernel can give."""

    def __init__(self, program: list[Instruction]) -> None:
        self._program = program
        values = sorted({k for code, _, _, k in program if code == RETURN and is_the_kernels(k)})
        cookies: set[int] = set()
        while len(cookies) < len(values):
            cookies.add(_new())
        self._cookies = dict(zip(values, cookies, strict=True))

    def __getitem__(self, value: int) -> int:
        """The cookie that asks for this verdict; KeyError where the filter never gives it or a supervisor can."""
        return self._cookies[value]

    def supervised(self, *, everything: bool = False) -> list[Instruction]:
        """The filter for the sandbox; with `everything` it asks the supervisor for what is allowed, too. It is up to
        six instructions longer for each cookie; SeccompError where that is more than the kernel takes."""
        asked = {k for code, _, _, k in self._program if code == RETURN and (everything or k != seccomp.RET_ALLOW)}
        first = any(code == LOAD and k in seccomp.argument(SIXTH) for code, _, _, k in self._program)
        program: list[Instruction] = []
        if first:
            for value, cookie in self._cookies.items():
                program += _unless_asked(value, cookie)
        start = len(program)
        program += self._program
        ends: dict[int, int] = {}
        for value, cookie in self._cookies.items() if not first else ():
            ends[value] = len(program)
            program += [*_unless_asked(value, cookie), verdict(seccomp.RET_USER_NOTIF)]
        for place, (code, _, _, k) in enumerate(self._program, start):
            if code == RETURN and k in ends:
                program[place] = (JUMP, 0, 0, ends[k] - place - 1)
            elif code == RETURN and k in asked:
                program[place] = verdict(seccomp.RET_USER_NOTIF)
        if len(program) > LONGEST_PROGRAM:
            raise SeccompError(
                f"the policy makes a filter of {len(program)} instructions, and the kernel takes {LONGEST_PROGRAM}: "
                "use fewer rules with conditions"
            )
        return program


def _unless_asked(value: int, cookie: int) -> list[Instruction]:
    """End with the verdict where the sixth argument is the cookie."""
    low, high = seccomp.argument(SIXTH)
    return [load(low), (IF_EQUAL, 0, 3, cookie), load(high), (IF_EQUAL, 0, 1, 0), verdict(value)]


def _new() -> int:
    """32 random bits, of which two are set: no small number, no size and no offset of a page can be taken for it."""
    return int.from_bytes(os.urandom(4), "little") | 0x80000001
