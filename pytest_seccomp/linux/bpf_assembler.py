"""Programs for the kernel's BPF machine, instruction by instruction, in names: registers, variables on the stack,
helpers, labels.

A program has ten registers of 64 bits and 512 bytes of stack. A helper gets its arguments in R1 to R5 and returns in
R0; R6 to R9 keep what is in them. At the beginning R1 is the context.
Sources: Documentation/bpf/standardization/instruction-set.rst, include/uapi/linux/bpf.h.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from pytest_seccomp.linux.bpf import Map

_STACK = 512

# Classes, and what is added to them
_LDX, _ST, _STX, _JMP, _ALU64 = 1, 2, 3, 5, 7
_MEM, _ATOMIC = 0x60, 0xC0
_FROM_REGISTER = 8
_SIZES = {1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18}

_LOAD_64, _MAP_DESCRIPTOR = 0x18, 1
_CALL, _EXIT, _ALWAYS = 0x85, 0x95, 0x05
_MOVE = 0xB0
_OPERATIONS = {"+": 0x00, "*": 0x20, "|": 0x40, "&": 0x50, "<<": 0x60, ">>": 0x70}
_CONDITIONS = {"==": 0x10, ">": 0x20, ">=": 0x30, "&": 0x40, "!=": 0x50, "<": 0xA0, "<=": 0xB0}


class Register:
    """One of the machine's registers."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


R0, R1, R2, R3, R4, R5, R6, R7, R8, R9 = (Register(number) for number in range(10))
_FRAME = Register(10)


class Helper:
    """A function of the kernel, by its number in enum bpf_func_id."""

    __slots__ = ("name", "number")

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name


MAP_LOOKUP = Helper(1, "bpf_map_lookup_elem")
MAP_UPDATE = Helper(2, "bpf_map_update_elem")
MAP_DELETE = Helper(3, "bpf_map_delete_elem")
GET_CURRENT_PID_TGID = Helper(14, "bpf_get_current_pid_tgid")
GET_CURRENT_COMM = Helper(16, "bpf_get_current_comm")
GET_CURRENT_TASK = Helper(35, "bpf_get_current_task")
PROBE_READ_KERNEL = Helper(113, "bpf_probe_read_kernel")
"""From Linux 5.5 on; not in a kernel whose lockdown is of the level `confidentiality`."""


class Variable:
    """Some bytes of the stack."""

    __slots__ = ("offset", "size")

    def __init__(self, offset: int, size: int) -> None:
        self.offset = offset
        self.size = size

    def part(self, offset: int, size: int = 8) -> Variable:
        """So many of the bytes, that far from the first."""
        return Variable(self.offset + offset, size)


class Assembler:
    """A program, as far as it is written. Comparisons are without a sign, constants are of 64 bits with or without."""

    def __init__(self) -> None:
        self._code: list[bytes] = []
        self._labels: dict[str, int] = {}
        self._jumps: list[tuple[int, str]] = []
        self._used = 0

    def variable(self, size: int) -> Variable:
        """New bytes of the stack, beginning at a multiple of 8."""
        self._used += -(-size // 8) * 8
        if self._used > _STACK:
            raise ValueError(f"more variables than {_STACK} bytes of stack hold")
        return Variable(-self._used, size)

    def label(self, name: str) -> None:
        """A place to jump to, from before it: a program goes forward only."""
        if name in self._labels:
            raise ValueError(f"label {name!r} is there twice")
        self._labels[name] = len(self._code)

    def set(self, register: Register, value: int) -> None:
        """register = value"""
        if -(1 << 31) <= value < 1 << 31:
            self._add(_ALU64 | _MOVE, register, constant=value)
        else:
            self._add_wide(register, 0, value)

    def copy(self, register: Register, source: Register) -> None:
        """register = source"""
        self._add(_ALU64 | _MOVE | _FROM_REGISTER, register, source)

    def compute(self, register: Register, operation: str, operand: Register | int) -> None:
        """register = register operation operand; operation is one of + * | & << >>"""
        code = _ALU64 | _OPERATIONS[operation]
        if isinstance(operand, Register):
            self._add(code | _FROM_REGISTER, register, operand)
        else:
            self._add(code, register, constant=operand)

    def load(self, register: Register, place: Register | Variable, offset: int = 0, size: int = 8) -> None:
        """register = what a variable holds, or what a register points to: so many bytes, that far behind it"""
        base, at, length = _place(place, offset, size)
        self._add(_LDX | _MEM | _SIZES[length], register, base, at)

    def store(self, place: Register | Variable, value: Register | int, offset: int = 0, size: int = 8) -> None:
        """A variable, or what a register points to, = value."""
        base, at, length = _place(place, offset, size)
        if isinstance(value, Register):
            self._add(_STX | _MEM | _SIZES[length], base, value, at)
        else:
            self._add(_ST | _MEM | _SIZES[length], base, offset=at, constant=value)

    def add_atomically(self, pointer: Register, value: Register) -> None:
        """The 64 bits that a register points to += value, whoever else does so."""
        self._add(_STX | _ATOMIC | _SIZES[8], pointer, value)

    def call(self, helper: Helper, *arguments: Register | Variable | Map | int) -> None:
        """R0 = helper(arguments). Of a variable its address is passed. Arguments are set in their order: one that is a
        register must not be one of those before it."""
        for register, argument in zip((R1, R2, R3, R4, R5), arguments, strict=False):
            if isinstance(argument, Register):
                if argument is not register:
                    self.copy(register, argument)
            elif isinstance(argument, int):
                self.set(register, argument)
            elif isinstance(argument, Variable):
                self.copy(register, _FRAME)
                self.compute(register, "+", argument.offset)
            else:
                self._add_wide(register, _MAP_DESCRIPTOR, argument.descriptor)
        self._code.append(struct.pack("<BBhi", _CALL, 0, 0, helper.number))

    def jump(self, label: str) -> None:
        """Go on at a label."""
        self._jumps.append((len(self._code), label))
        self._code.append(struct.pack("<BBhi", _ALWAYS, 0, 0, 0))

    def jump_if(self, register: Register, condition: str, operand: Register | int, label: str) -> None:
        """Go on at a label if so: condition is one of == != < <= > >=, and & for a bit that both have."""
        self._jumps.append((len(self._code), label))
        code = _JMP | _CONDITIONS[condition]
        if isinstance(operand, Register):
            self._add(code | _FROM_REGISTER, register, operand)
        else:
            self._add(code, register, constant=operand)

    def leave(self) -> None:
        """End the program, with 0."""
        self.set(R0, 0)
        self._code.append(struct.pack("<BBhi", _EXIT, 0, 0, 0))

    def assemble(self) -> bytes:
        """The instructions. Raises ValueError where a label is missing or behind the jump to it."""
        for place, label in self._jumps:
            if label not in self._labels:
                raise ValueError(f"no label {label!r}")
            distance = self._labels[label] - place - 1
            if distance < 0:
                raise ValueError(f"a jump back to {label!r}")
            instruction = self._code[place]
            self._code[place] = instruction[:2] + struct.pack("<h", distance) + instruction[4:]
        return b"".join(self._code)

    def _add(
        self, code: int, register: Register, source: Register | None = None, offset: int = 0, constant: int = 0
    ) -> None:
        registers = register.number | (source.number << 4 if source is not None else 0)
        self._code.append(struct.pack("<BBhi", code, registers, offset, constant))

    def _add_wide(self, register: Register, kind: int, value: int) -> None:
        """The one instruction that takes the place of two."""
        low, high = value & 0xFFFFFFFF, value >> 32 & 0xFFFFFFFF
        self._code.append(struct.pack("<BBhI", _LOAD_64, register.number | kind << 4, 0, low))
        self._code.append(struct.pack("<BBhI", 0, 0, 0, high))


def _place(place: Register | Variable, offset: int, size: int) -> tuple[Register, int, int]:
    return (_FRAME, place.offset, place.size) if isinstance(place, Variable) else (place, offset, size)
