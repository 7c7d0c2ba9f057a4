"""Conditions: which two of them no argument meets."""

from itertools import product

import pytest

from pytest_seccomp.profile.conditions import Condition, Operator, overlap

LIMIT = 2**64
VALUES = (0, 1, 2, 5, LIMIT - 2, LIMIT - 1)
MASKS = (0, 1, 3, LIMIT - 1)
ALL = [
    *(Condition(0, operator, value) for operator in Operator for value in VALUES if operator is not Operator.MASKED_EQ),
    *(Condition(0, Operator.MASKED_EQ, value, mask) for value in VALUES for mask in MASKS),
]
# With the values above, what two conditions have in common they have among these
ARGUMENTS = sorted({near % LIMIT for value in VALUES for near in range(value - 4, value + 5)})


def meets(condition: Condition, argument: int) -> bool:
    value = condition.value
    return {
        Operator.NE: argument != value,
        Operator.LT: argument < value,
        Operator.LE: argument <= value,
        Operator.EQ: argument == value,
        Operator.GE: argument >= value,
        Operator.GT: argument > value,
        Operator.MASKED_EQ: argument & condition.mask == value & condition.mask,
    }[condition.operator]


def is_order_beside_bits(one: Condition, two: Condition) -> bool:
    """Where `excludes` does not look closely."""
    operators = {one.operator, two.operator}
    return Operator.MASKED_EQ in operators and not operators <= {Operator.MASKED_EQ, Operator.EQ}


def test_two_conditions_exclude_each_other_where_no_argument_meets_both() -> None:
    for one, two in product(ALL, repeat=2):
        both = any(meets(one, argument) and meets(two, argument) for argument in ARGUMENTS)
        if both or not is_order_beside_bits(one, two):
            assert one.excludes(two) is not both, (one, two)


@pytest.mark.parametrize(
    ("some", "others", "expected"),
    [
        ((), (), True),
        ((Condition(0, Operator.EQ, 1),), (), True),
        ((Condition(0, Operator.EQ, 1),), (Condition(1, Operator.EQ, 2),), True),
        ((Condition(0, Operator.EQ, 1), Condition(1, Operator.GT, 7)), (Condition(1, Operator.LE, 7),), False),
    ],
)
def test_sets_of_conditions_overlap_unless_two_exclude_each_other(
    some: tuple[Condition, ...], others: tuple[Condition, ...], expected: bool
) -> None:
    assert overlap(some, others) is expected


def test_calls_of_32_bits_have_the_lower_half() -> None:
    wide = Condition(2, Operator.MASKED_EQ, 2**64 - 100, 2**64 - 1)
    assert wide.narrowed() == Condition(2, Operator.MASKED_EQ, 2**32 - 100, 2**32 - 1)
