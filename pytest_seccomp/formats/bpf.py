"""The filter itself, as the kernel takes it: for `bwrap --seccomp`, and for seccomp(2)."""

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.formats.format import Format, Written
from pytest_seccomp.formats.oci import ACTIONS
from pytest_seccomp.formats.profile import Profile
from pytest_seccomp.linux.syscalls import audit_arch_of
from pytest_seccomp.profile.actions import ALLOW
from pytest_seccomp.profile.compiling import program
from pytest_seccomp.profile.policy import Policy, Rule
from pytest_seccomp.trace.wanted import Wanted

_END = 2**31
"""The kernel takes larger numbers for negative ones, which are no calls: a tracer writes -1 to have none made."""


def _write(profile: Profile) -> Written:
    """By their numbers, so that none is left out for lack of a name. What other architectures call gets the default."""
    calls = [call for call in profile.calls if 0 <= call.number < _END]
    for arch in profile.architectures:
        try:
            audit_arch_of(arch)
        except ValueError:
            raise SeccompError(
                f"there are calls of {arch!r}, which this version does not know: use the one that recorded them"
            ) from None
    rules = [Rule(Wanted(call.text, call.arch, None, call.number), ALLOW) for call in calls]
    code = program(Policy(profile.default, rules, profile.architectures, foreign=profile.default))
    negative = ", ".join(call.text for call in profile.calls if not 0 <= call.number < _END)
    return Written(code, (f"Left out, for no call has such a number: {negative}.",) if negative else ())


FORMAT = Format(
    "bpf",
    "bubblewrap, and whoever installs a filter",
    _write,
    ("errno:EPERM", *ACTIONS),
    bases=("end", "bubblewrap"),
    is_text=False,
)
