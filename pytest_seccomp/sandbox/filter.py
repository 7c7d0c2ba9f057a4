"""The filter of a sandbox, and what its policy says of the calls that it asks the supervisor for."""

import os

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux import seccomp
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.marked import COOKIE_ARGUMENT
from pytest_seccomp.profile import bpf
from pytest_seccomp.sandbox.cookies import Cookies


class Filter:
    """Of one sandbox. `policy` is the filter of its policy, empty where there is none; with `record` it asks for what
    is allowed, too, as it does without a policy.

    `cookie` is the argument with which a sendmsg passes, so that the listener can be handed over: 62 bits, random.
    SeccompError where the filter would be larger than the kernel takes.
    """

    __slots__ = ("_cookies", "_policy", "code", "cookie")

    def __init__(self, policy: bytes, record: bool) -> None:
        self.cookie = int.from_bytes(os.urandom(8), "little") >> 2
        self._policy = bpf.decoded(policy) or [bpf.verdict(seccomp.RET_ALLOW)]
        self._cookies = Cookies(self._policy)
        supervised = self._cookies.supervised(everything=record or not policy)
        program = [*_passing(self.cookie), *supervised]
        if len(program) > bpf.LONGEST_PROGRAM:
            raise SeccompError(
                f"the policy makes a filter of {len(program)} instructions, and the kernel takes "
                f"{bpf.LONGEST_PROGRAM}: use fewer rules with conditions"
            )
        self.code = bpf.encoded(program)
        """As seccomp(2) takes it."""

    @property
    def allows_everything(self) -> bool:
        """Whether there is nothing to decide."""
        return len(self._policy) == 1 and self._policy[0][3] == seccomp.RET_ALLOW

    def verdict(self, data: bytes) -> int:
        """What the policy says of a call: SECCOMP_RET_* with its data. `data` is struct seccomp_data."""
        return bpf.evaluate(self._policy, data)

    def cookie_of(self, verdict: int) -> int:
        """The cookie with which a call gets that verdict from the kernel."""
        return self._cookies[verdict]


def _passing(cookie: int) -> list[bpf.Instruction]:
    """Let sendmsg with the cookie pass, and go on with all other calls."""
    low, high = seccomp.argument(COOKIE_ARGUMENT)
    return [
        bpf.load(seccomp.OFFSET_NUMBER),
        (bpf.IF_EQUAL, 0, 7, native().sendmsg),
        bpf.load(seccomp.OFFSET_ARCH),
        (bpf.IF_EQUAL, 0, 5, native().audit_arch),
        bpf.load(low),
        (bpf.IF_EQUAL, 0, 3, cookie & 0xFFFFFFFF),
        bpf.load(high),
        (bpf.IF_EQUAL, 0, 1, cookie >> 32),
        bpf.verdict(seccomp.RET_ALLOW),
    ]
