"""Conditions on the arguments of a call, as profiles and libseccomp have them: seccomp_rule_add(3)."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace

_LARGEST = 2**64 - 1


class Operator(enum.Enum):
    """How an argument, an unsigned number, is compared; the values are the names of profiles."""

    NE = "SCMP_CMP_NE"
    LT = "SCMP_CMP_LT"
    LE = "SCMP_CMP_LE"
    EQ = "SCMP_CMP_EQ"
    GE = "SCMP_CMP_GE"
    GT = "SCMP_CMP_GT"
    MASKED_EQ = "SCMP_CMP_MASKED_EQ"


@dataclass(slots=True, frozen=True)
class Condition:
    """That an argument compares so with a value."""

    index: int
    """Which argument, 0 to 5."""
    operator: Operator
    value: int
    """64 bits, unsigned."""
    mask: int = _LARGEST
    """With MASKED_EQ only these bits are compared, of the argument and of the value; with the others all are."""

    def narrowed(self) -> "Condition":
        """As it is for calls of 32 bits: as libseccomp, without the upper half of value and mask."""
        return replace(self, value=self.value & 0xFFFFFFFF, mask=self.mask & 0xFFFFFFFF)

    def excludes(self, other: "Condition") -> bool:
        """Whether no argument meets both, which are about the same one. False as well for some of which that is true:
        where bits are compared with an order."""
        mine, theirs = self._as_bits(), other._as_bits()
        if mine is not None and theirs is not None:
            return bool((mine[0] ^ theirs[0]) & mine[1] & theirs[1])
        for one, two in ((self, other), (other, self)):
            if one.operator is Operator.EQ:
                return not any(low <= one.value <= high for low, high in two._ranges())
        return not any(
            max(low, other_low) <= min(high, other_high)
            for low, high in self._ranges()
            for other_low, other_high in other._ranges()
        )

    def _as_bits(self) -> tuple[int, int] | None:
        """Value and mask, where it is a comparison of bits."""
        if self.operator is Operator.MASKED_EQ:
            return self.value, self.mask
        return (self.value, _LARGEST) if self.operator is Operator.EQ else None

    def _ranges(self) -> Sequence[tuple[int, int]]:
        """The arguments that meet it, from and to; more than those where bits are compared."""
        value = self.value
        match self.operator:
            case Operator.NE:
                return (0, value - 1), (value + 1, _LARGEST)
            case Operator.LT:
                return ((0, value - 1),)
            case Operator.LE:
                return ((0, value),)
            case Operator.EQ:
                return ((value, value),)
            case Operator.GE:
                return ((value, _LARGEST),)
            case Operator.GT:
                return ((value + 1, _LARGEST),)
            case Operator.MASKED_EQ:
                return ((0, _LARGEST),)


def overlap(some: Sequence[Condition], others: Sequence[Condition]) -> bool:
    """Whether arguments may meet both sets of conditions."""
    return not any(one.excludes(two) for one in some for two in others if one.index == two.index)
