"""A policy as a filter: classic BPF for seccomp(2).

The numbers of an architecture are a line, cut into stretches that are decided alike; a binary search finds the stretch
of a call. Where a verdict depends on arguments, they are compared behind it.

Why not by libseccomp: before 2.6.1, which few hosts have, it merges comparisons of 64 bits of several rules wrongly
(GHSA-4q85-33p6-j5g6), so that the filter denies less, or more, than the policy says. And it knows no call that is newer
than itself. The tests compare with it where it is right.

Two calls of x86-64, uretprobe and uprobe, are shown to no filter, whatever it would say of them (kernel/seccomp.c).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux import seccomp, syscalls
from pytest_seccomp.linux.architecture import X32, X32_BIT, X86_64
from pytest_seccomp.profile.architectures import NARROW
from pytest_seccomp.profile.bpf import (
    IF_EQUAL,
    IF_GREATER_OR_EQUAL,
    JUMP,
    LONGEST_PROGRAM,
    LONGEST_SKIP,
    Instruction,
    encoded,
    load,
    verdict,
)
from pytest_seccomp.profile.comparing import unless_met
from pytest_seccomp.profile.policy import Policy, Rule, numbers

_NO_NUMBER = 2**32 - 1
"""-1, which a tracer writes to have no call made. It is no call of x32, although it has the bit: as in libseccomp."""
_END = 2**32

_Code = tuple[Instruction, ...]


def program(policy: Policy) -> bytes:
    """The filter of a policy. SeccompError where it would be larger than the kernel takes."""
    code = [load(seccomp.OFFSET_ARCH)]
    for audit_arch in dict.fromkeys(map(syscalls.audit_arch_of, policy.architectures)):
        line = _search(_joined([*_stretches(policy, audit_arch)]))
        block = [load(seccomp.OFFSET_NUMBER), *line]
        code += [(IF_EQUAL, 1, 0, audit_arch), (JUMP, 0, 0, len(block)), *block]
    code.append(verdict(policy.foreign.verdict))
    if len(code) > LONGEST_PROGRAM:
        raise SeccompError(
            f"the policy makes a filter of {len(code)} instructions, and the kernel takes {LONGEST_PROGRAM}: "
            "use fewer rules with conditions"
        )
    return encoded(code)


@dataclass(slots=True, frozen=True)
class _Stretch:
    """The numbers from one on, up to the next stretch, and what decides about them."""

    start: int
    code: _Code


def _stretches(policy: Policy, audit_arch: int) -> Iterator[_Stretch]:
    """All numbers of one AUDIT_ARCH_*, in order."""
    if audit_arch != X86_64.audit_arch:
        yield from _space(policy, syscalls.arch_name(audit_arch), 0, _END)
        return
    yield from _space(policy, X86_64.name, 0, X32_BIT)
    yield from _space(policy, X32.name, X32_BIT, _NO_NUMBER)
    yield _Stretch(_NO_NUMBER, (verdict(policy.default.verdict),))


def _space(policy: Policy, arch: str, start: int, end: int) -> Iterator[_Stretch]:
    """The numbers of one architecture, from `start` up to `end`."""
    if arch not in policy.architectures:
        yield _Stretch(start, (verdict(policy.foreign.verdict),))
        return
    rules: dict[int, list[Rule]] = {}
    for rule in policy.rules:
        for number in numbers(rule.call, arch):
            if start <= number < end:  # one that a user gives may be of the other half of the line
                rules.setdefault(number, []).append(rule)
    default = (verdict(policy.default.verdict),)
    yield _Stretch(start, default)
    for number in sorted(rules):
        yield _Stretch(number, _decision(policy, rules[number], arch in NARROW))
        if number + 1 < end:
            yield _Stretch(number + 1, default)
    if policy.newer is not None:
        named = {number for call in policy.known for number in numbers(call, arch)}.union(rules)
        if named and max(named) + 1 < end:
            yield _Stretch(max(named) + 1, (verdict(policy.newer.verdict),))


def _decision(policy: Policy, rules: list[Rule], narrow: bool) -> _Code:
    """What decides about one number."""
    code: list[Instruction] = []
    for rule in sorted(dict.fromkeys(rules), key=lambda rule: rule.action.leniency):
        code += unless_met(rule.conditions, narrow, rule.action.verdict)
        if not rule.conditions:
            return tuple(code)
    return (*code, verdict(policy.default.verdict))


def _joined(stretches: list[_Stretch]) -> list[_Stretch]:
    """Without empty stretches, where a later one has the same start, and without those that are decided as the one
    before."""
    by_start = {stretch.start: stretch for stretch in stretches}
    found = list(by_start.values())
    return [found[0], *(two for one, two in pairwise(found) if one.code != two.code)]


def _search(stretches: list[_Stretch]) -> list[Instruction]:
    """The code for the number in the accumulator, which is not below the first stretch."""
    if len(stretches) == 1:
        return list(stretches[0].code)
    middle = len(stretches) // 2
    below, above = _search(stretches[:middle]), _search(stretches[middle:])
    start = stretches[middle].start
    if len(below) <= LONGEST_SKIP:
        return [(IF_GREATER_OR_EQUAL, len(below), 0, start), *below, *above]
    return [(IF_GREATER_OR_EQUAL, 0, 1, start), (JUMP, 0, 0, len(below)), *below, *above]
