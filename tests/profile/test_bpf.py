"""Classic BPF: bytes and instructions, what they decide, and the same for a supervisor."""

import struct

import pytest
from judged import X86_64, Call

from pytest_seccomp.linux import seccomp
from pytest_seccomp.profile import bpf

CALL = Call(X86_64, 41, (0x1_0000_0002, 2, 3, 4, 5, 0xF0F0_0000_0000))


def decide(*instructions: bpf.Instruction) -> int:
    return bpf.evaluate([*instructions, bpf.verdict(1), bpf.verdict(2), bpf.verdict(3)], CALL.data)


def test_bytes_are_those_of_the_kernel() -> None:
    assert bpf.encoded([bpf.load(4), bpf.verdict(seccomp.RET_ALLOW)]) == seccomp.load(4) + seccomp.verdict(
        seccomp.RET_ALLOW
    )
    assert bpf.decoded(seccomp.unless_equal(7, 9)) == [(bpf.IF_EQUAL, 0, 9, 7)]


@pytest.mark.parametrize(
    ("offset", "value"),
    [(0, 41), (4, X86_64), (8, 0), (12, 0), (16, 2), (20, 1), (24, 2), (56, 0), (60, 0xF0F0)],
)
def test_each_word_of_the_call_can_be_loaded(offset: int, value: int) -> None:
    assert decide(bpf.load(offset), (bpf.IF_EQUAL, 0, 1, value)) == 1


@pytest.mark.parametrize(
    ("code", "k", "expected"),
    [
        (bpf.IF_EQUAL, 41, 2),
        (bpf.IF_EQUAL, 40, 3),
        (bpf.IF_GREATER, 40, 2),
        (bpf.IF_GREATER, 41, 3),
        (bpf.IF_GREATER_OR_EQUAL, 41, 2),
        (bpf.IF_GREATER_OR_EQUAL, 42, 3),
    ],
)
def test_a_comparison_skips_by_what_it_finds(code: int, k: int, expected: int) -> None:
    assert decide(bpf.load(0), (code, 1, 2, k)) == expected


def test_bits_and_jumps() -> None:
    assert decide(bpf.load(60), (bpf.AND, 0, 0, 0xFF), (bpf.IF_EQUAL, 1, 2, 0xF0)) == 2
    assert decide((bpf.JUMP, 0, 0, 2)) == 3


def test_another_instruction_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown instruction 0x07"):
        decide((0x07, 0, 0, 0))  # BPF_MISC | BPF_TAX


def test_data_of_another_size_is_refused() -> None:
    with pytest.raises(struct.error):
        bpf.evaluate([bpf.load(0)], CALL.data[:-1])


def test_a_supervisor_is_asked_for_all_that_is_not_allowed() -> None:
    original = [bpf.load(0), (bpf.IF_EQUAL, 0, 1, 41), bpf.verdict(0x50001), bpf.verdict(seccomp.RET_ALLOW)]
    program = bpf.supervised(original)
    assert program == [*original[:2], bpf.verdict(seccomp.RET_USER_NOTIF), original[3]]
    assert bpf.evaluate(program, CALL.data) == seccomp.RET_USER_NOTIF
    assert bpf.supervised([bpf.verdict(seccomp.RET_LOG)]) == [bpf.verdict(seccomp.RET_USER_NOTIF)]
