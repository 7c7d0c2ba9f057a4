"""Instructions are those of the BPF machine, and the kernel computes with them what they say."""

import operator
import os
import struct
from collections.abc import Callable

import logged
import pytest

from pytest_seccomp.linux import bpf, raw
from pytest_seccomp.linux.bpf_assembler import GET_CURRENT_TASK, MAP_LOOKUP, R0, R1, R2, R6, R7, R9, Assembler

UNKNOWN_CALL = logged.new_number()

MASK = 2**64 - 1


def written(write: Callable[[Assembler], object]) -> list[tuple[int, int, int, int, int]]:
    """Code, destination, source, offset and constant of the instructions that are written."""
    code = Assembler()
    write(code)
    assembled = code.assemble()
    found = []
    for place in range(0, len(assembled), 8):
        opcode, registers, offset, constant = struct.unpack_from("<BBhi", assembled, place)
        found.append((opcode, registers & 15, registers >> 4, offset, constant))
    return found


@pytest.mark.parametrize(
    ("write", "instructions"),
    [
        (lambda code: code.set(R6, -1), [(0xB7, 6, 0, 0, -1)]),
        (lambda code: code.set(R6, 2**63 + 5), [(0x18, 6, 0, 0, 5), (0, 0, 0, 0, -(2**31))]),
        (lambda code: code.set(R6, 2**31), [(0x18, 6, 0, 0, -(2**31)), (0, 0, 0, 0, 0)]),
        (lambda code: code.copy(R6, R1), [(0xBF, 6, 1, 0, 0)]),
        (lambda code: code.compute(R1, "+", 8), [(0x07, 1, 0, 0, 8)]),
        (lambda code: code.compute(R1, "<<", R2), [(0x6F, 1, 2, 0, 0)]),
        (lambda code: code.load(R7, R6, 8), [(0x79, 7, 6, 8, 0)]),
        (lambda code: code.load(R7, R6, size=4), [(0x61, 7, 6, 0, 0)]),
        (lambda code: code.load(R7, R6, size=2), [(0x69, 7, 6, 0, 0)]),
        (lambda code: code.load(R7, R6, size=1), [(0x71, 7, 6, 0, 0)]),
        (lambda code: code.store(R6, R7, 16), [(0x7B, 6, 7, 16, 0)]),
        (lambda code: code.store(R6, 9, size=4), [(0x62, 6, 0, 0, 9)]),
        (lambda code: code.store(code.variable(4), R7), [(0x63, 10, 7, -8, 0)]),
        (lambda code: code.load(R9, code.variable(16).part(8)), [(0x79, 9, 10, -8, 0)]),
        (lambda code: code.add_atomically(R0, R1), [(0xDB, 0, 1, 0, 0)]),
        (lambda code: code.call(GET_CURRENT_TASK), [(0x85, 0, 0, 0, 35)]),
        (
            lambda code: code.call(MAP_LOOKUP, bpf.Map(33, 8, 8), code.variable(8)),
            [(0x18, 1, 1, 0, 33), (0, 0, 0, 0, 0), (0xBF, 2, 10, 0, 0), (0x07, 2, 0, 0, -8), (0x85, 0, 0, 0, 1)],
        ),
        (
            lambda code: code.call(MAP_LOOKUP, R1, R7, 5),
            [(0xBF, 2, 7, 0, 0), (0xB7, 3, 0, 0, 5), (0x85, 0, 0, 0, 1)],
        ),
        (lambda code: code.leave(), [(0xB7, 0, 0, 0, 0), (0x95, 0, 0, 0, 0)]),
        (
            lambda code: (code.jump("end"), code.jump_if(R1, "!=", R2, "end"), code.label("end"), code.leave()),
            [(0x05, 0, 0, 1, 0), (0x5D, 1, 2, 0, 0), (0xB7, 0, 0, 0, 0), (0x95, 0, 0, 0, 0)],
        ),
    ],
)
def test_instructions(write: Callable[[Assembler], object], instructions: list[tuple[int, int, int, int, int]]) -> None:
    assert written(write) == instructions


def test_a_label_that_is_missing() -> None:
    code = Assembler()
    code.jump("nowhere")
    with pytest.raises(ValueError, match="no label 'nowhere'"):
        code.assemble()


def test_a_label_that_is_there_twice() -> None:
    code = Assembler()
    code.label("here")
    with pytest.raises(ValueError, match="'here' is there twice"):
        code.label("here")


def test_a_jump_back() -> None:
    code = Assembler()
    code.label("again")
    code.jump("again")
    with pytest.raises(ValueError, match="a jump back to 'again'"):
        code.assemble()


def test_a_stack_that_is_full() -> None:
    code = Assembler()
    for _ in range(64):
        code.variable(1)
    with pytest.raises(ValueError, match="more variables than 512 bytes of stack hold"):
        code.variable(1)


OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "*": operator.mul,
    "|": operator.or_,
    "&": operator.and_,
    "<<": operator.lshift,
    ">>": operator.rshift,
}

CONDITIONS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "&": lambda one, other: bool(one & other),
}

OPERANDS = [(5, 3), (3, 5), (7, 7), (2**64 - 1, 2), (2**40 + 1, 2**31 - 1), (8, 0)]


@pytest.mark.needs("bpf")
@pytest.mark.parametrize("in_register", [True, False], ids=["register", "constant"])
def test_the_kernel_computes_and_compares(in_register: bool) -> None:
    """One program for all of it: what is computed goes into an array, as does 1 for each comparison that holds."""
    expected: list[int] = []
    code = Assembler()
    results = bpf.Map.create(bpf.ARRAY, 4, 8, 128)
    index = code.variable(4)
    code.load(R2, R1, 8)
    code.jump_if(R2, "!=", UNKNOWN_CALL, "leave")

    def keep(value: int) -> None:
        code.store(index, len(expected))
        code.call(MAP_LOOKUP, results, index)
        code.jump_if(R0, "==", 0, "leave")
        code.store(R0, R6)
        expected.append(value)

    for one, other in OPERANDS:
        operand = R7 if in_register else other
        for name, operation in OPERATIONS.items():
            if name in ("<<", ">>") and other > 63:
                continue
            code.set(R6, one)
            code.set(R7, other)
            code.compute(R6, name, operand)
            keep(operation(one, other) & MASK)
        for name, holds_for in CONDITIONS.items():
            holds = f"{one} {name} {other}"
            code.set(R6, one)
            code.set(R7, other)
            code.set(R9, 1)
            code.jump_if(R6, name, operand, holds)
            code.set(R9, 0)
            code.label(holds)
            code.copy(R6, R9)
            keep(int(holds_for(one, other)))
    code.label("leave")
    code.leave()
    program = bpf.load(bpf.RAW_TRACEPOINT, code.assemble(), "computing")
    link = bpf.attach("sys_enter", program)
    raw.function()(raw.Word(UNKNOWN_CALL))
    os.close(link)
    os.close(program)
    found = [results.lookup(struct.pack("=I", place)) for place in range(len(expected))]
    results.close()
    assert [struct.unpack("=Q", value or b"")[0] for value in found] == expected
