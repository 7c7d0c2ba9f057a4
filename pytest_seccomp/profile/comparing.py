"""Conditions as classic BPF, which compares 32 bits at a time: an argument is two words."""

import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_seccomp.linux import seccomp
from pytest_seccomp.profile.bpf import AND, IF_EQUAL, IF_GREATER, IF_GREATER_OR_EQUAL, LOAD, Instruction, verdict
from pytest_seccomp.profile.conditions import Condition, Operator

_ALL = 0xFFFFFFFF


class _Way(enum.Enum):
    """Where a comparison leads."""

    ON = enum.auto()
    """To the next step."""
    MET = enum.auto()
    """Past this condition's last step: it is met."""
    UNMET = enum.auto()
    """Past the last step of all conditions: this one is not met."""


@dataclass(slots=True, frozen=True)
class _Step:
    """An instruction whose jumps are not known yet."""

    code: int
    k: int
    if_true: _Way = _Way.ON
    if_false: _Way = _Way.ON


def unless_met(conditions: Sequence[Condition], narrow: bool, action: int) -> list[Instruction]:
    """Instructions that end with the action where all conditions are met, and go on behind the last of them where not.

    `narrow`: the arguments have 32 bits. Without conditions only the action is left.
    """
    sequences = [list(_steps(condition, narrow)) for condition in conditions]
    rest = sum(map(len, sequences)) + 1
    program: list[Instruction] = []
    for steps in sequences:
        for position, step in enumerate(steps, start=1):
            rest -= 1
            skips = {_Way.ON: 0, _Way.MET: len(steps) - position, _Way.UNMET: rest}
            program.append((step.code, skips[step.if_true], skips[step.if_false], step.k))
    return [*program, verdict(action)]


def _steps(condition: Condition, narrow: bool) -> Iterator[_Step]:
    low_offset, high_offset = seccomp.argument(condition.index)
    if narrow:
        condition = condition.narrowed()
    low, high = condition.value & _ALL, condition.value >> 32
    match condition.operator:
        case Operator.EQ | Operator.MASKED_EQ:
            bits = condition.mask if condition.operator is Operator.MASKED_EQ else 2**64 - 1
            if not narrow:
                yield from _equal(high_offset, high, bits >> 32)
            yield from _equal(low_offset, low, bits & _ALL)
        case Operator.NE:
            if not narrow:
                yield _Step(LOAD, high_offset)
                yield _Step(IF_EQUAL, high, if_false=_Way.MET)
            yield _Step(LOAD, low_offset)
            yield _Step(IF_EQUAL, low, if_true=_Way.UNMET)
        case Operator.GT | Operator.GE:
            if not narrow:
                yield _Step(LOAD, high_offset)
                yield _Step(IF_GREATER, high, if_true=_Way.MET)
                yield _Step(IF_EQUAL, high, if_false=_Way.UNMET)
            code = IF_GREATER if condition.operator is Operator.GT else IF_GREATER_OR_EQUAL
            yield _Step(LOAD, low_offset)
            yield _Step(code, low, if_false=_Way.UNMET)
        case Operator.LT | Operator.LE:
            if not narrow:
                yield _Step(LOAD, high_offset)
                yield _Step(IF_GREATER, high, if_true=_Way.UNMET)
                yield _Step(IF_EQUAL, high, if_false=_Way.MET)
            code = IF_GREATER_OR_EQUAL if condition.operator is Operator.LT else IF_GREATER
            yield _Step(LOAD, low_offset)
            yield _Step(code, low, if_true=_Way.UNMET)


def _equal(offset: int, value: int, mask: int) -> Iterable[_Step]:
    """That the bits of one word equal those of the value; nothing where no bit counts."""
    if not mask:
        return
    yield _Step(LOAD, offset)
    if mask != _ALL:
        yield _Step(AND, mask)
    yield _Step(IF_EQUAL, value & mask, if_false=_Way.UNMET)
