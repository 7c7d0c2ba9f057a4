"""Classic BPF as filters of seccomp are made of it: instructions, their bytes, and what they decide.

Pure, and with few imports: the supervisor of a sandbox evaluates programs, too. Only what our compiler writes is
understood. Sources: include/uapi/linux/filter.h and bpf_common.h, Documentation/networking/filter.rst.
"""

from collections.abc import Iterable
from struct import Struct

from pytest_seccomp.linux import seccomp

LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS: 32 bits of struct seccomp_data, at offset k
AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
JUMP = 0x05  # BPF_JMP | BPF_JA: k instructions are skipped
IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
IF_GREATER = 0x25  # BPF_JMP | BPF_JGT | BPF_K
IF_GREATER_OR_EQUAL = 0x35  # BPF_JMP | BPF_JGE | BPF_K
RETURN = 0x06  # BPF_RET | BPF_K

LONGEST_SKIP = 255
"""Of a conditional jump: its two fields have 8 bits."""
LONGEST_PROGRAM = 4096
"""BPF_MAXINSNS"""

Instruction = tuple[int, int, int, int]
"""What struct sock_filter holds: code, how many instructions to skip where the condition is true and where it is false,
and the constant k."""

_ENCODED = Struct("=HBBI")
_DATA = Struct("=16I")  # struct seccomp_data, by the only size that a filter can load


def load(offset: int) -> Instruction:
    """Take 32 bits of struct seccomp_data into the accumulator."""
    return LOAD, 0, 0, offset


def verdict(value: int) -> Instruction:
    """End with a verdict: SECCOMP_RET_* with its data."""
    return RETURN, 0, 0, value


def encoded(program: Iterable[Instruction]) -> bytes:
    """As seccomp(2) takes it."""
    return b"".join(_ENCODED.pack(*instruction) for instruction in program)


def decoded(code: bytes) -> list[Instruction]:
    """The instructions of a program."""
    return list(_ENCODED.iter_unpack(code))


def evaluate(program: list[Instruction], data: bytes) -> int:
    """The verdict on a call: its struct seccomp_data, 64 bytes, as a notification has it. ValueError for an instruction
    that our compiler does not write."""
    words = _DATA.unpack(data)
    accumulator = position = 0
    while True:
        code, if_true, if_false, k = program[position]
        position += 1
        if code == LOAD:
            accumulator = words[k >> 2]
        elif code == IF_GREATER_OR_EQUAL:
            position += if_true if accumulator >= k else if_false
        elif code == IF_EQUAL:
            position += if_true if accumulator == k else if_false
        elif code == RETURN:
            return k
        elif code == IF_GREATER:
            position += if_true if accumulator > k else if_false
        elif code == JUMP:
            position += k
        elif code == AND:
            accumulator &= k
        else:
            raise ValueError(f"unknown instruction 0x{code:02x}")


def supervised(program: Iterable[Instruction]) -> list[Instruction]:
    """The same program with every verdict but ALLOW replaced by USER_NOTIF: what is allowed costs nothing, and the
    supervisor evaluates the program itself for what arrives."""
    return [
        verdict(seccomp.RET_USER_NOTIF) if code == RETURN and k != seccomp.RET_ALLOW else (code, if_true, if_false, k)
        for code, if_true, if_false, k in program
    ]
