"""A policy: which action each system call gets. Where it comes from is the matter of the other files."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pytest_seccomp.linux import syscalls
from pytest_seccomp.linux.architecture import X32, X32_BIT
from pytest_seccomp.profile.actions import Action
from pytest_seccomp.profile.conditions import Condition
from pytest_seccomp.trace.wanted import Wanted


@dataclass(slots=True, frozen=True)
class Rule:
    """An action for the calls of a name or number whose arguments meet all conditions."""

    call: Wanted
    action: Action
    conditions: tuple[Condition, ...] = ()


@dataclass(slots=True)
class Policy:
    """Which action each system call gets: of all rules that it meets that with the strictest one, as among several
    filters of the kernel (seccomp(2)), the first of those that are equally strict; where it meets none, the default.
    """

    default: Action
    rules: list[Rule]
    architectures: tuple[str, ...]
    """Those whose calls the rules are about, by name."""
    foreign: Action
    """For the calls of all other architectures."""
    newer: Action | None = None
    """For calls, of any of the architectures, with a larger number than all that `known` or a rule names; None: the
    default."""
    known: list[Wanted] = field(default_factory=list)
    """Calls that are not newer than the policy, although no rule may be about them."""
    warnings: list[str] = field(default_factory=list)
    """What its source says and it does not do, or may not mean: a line for each, that names it."""
    without_effect: list[Rule] = field(default_factory=list)
    """Those of its source that change nothing, such as one with the default action."""


def numbers(call: Wanted, arch: str) -> Iterator[int]:
    """The numbers that a filter sees for a call on one architecture, x32 being one of its own: none where it has no
    such call. 32 bits, unsigned."""
    if call.arch not in (None, arch):
        return
    audit_arch = syscalls.audit_arch_of(arch)
    if call.name is None:
        assert call.number is not None, "a call has a name or a number"
        found: tuple[int, ...] = (call.number & 0xFFFFFFFF,)
    elif call.name in syscalls.all_names(audit_arch):  # else libseccomp would be asked, in vain but at some cost
        found = syscalls.numbers_of(call.name, audit_arch)
    else:
        return
    is_x32 = arch == X32.name
    yield from (number for number in found if audit_arch != X32.audit_arch or (number >= X32_BIT) == is_x32)
