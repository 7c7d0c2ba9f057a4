"""Registers of a thread that comes out of a call: which call it is, and how it is made again. Pure arithmetic, so for
machines that these tests never see, too."""

import struct
from collections.abc import Sequence

import pytest

from pytest_seccomp.linux.architecture import AARCH64, ARM, I386, RISCV64, X86_64
from pytest_seccomp.linux.registers import CONVENTIONS, interrupted_call
from pytest_seccomp.linux.waiting import WaitingCall

ARGUMENTS = (11, 12, 13, 14, 15, 2**64 - 16)
BEHIND = 0x401002

# In the order of the structures: struct user_regs_struct (x86-64), struct user_pt_regs (aarch64), struct
# user_regs_struct (riscv64), COMPAT_ELF_NGREG words (32-bit threads on aarch64)
X86_64_NAMES = [
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"),
    *("orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"),
]
AARCH64_NAMES = [*(f"x{n}" for n in range(31)), "sp", "pc", "pstate"]
ARM_NAMES = [*(f"r{n}" for n in range(15)), "pc", "cpsr", "orig_r0"]
RISCV64_NAMES = [
    *("pc", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", *(f"a{n}" for n in range(8))),
    *(*(f"s{n}" for n in range(2, 12)), "t3", "t4", "t5", "t6"),
]


def call(arch: int, number: int) -> WaitingCall:
    return WaitingCall(-1, struct.pack("=QIIIIQ6Q", 1, 2, 0, number & 0xFFFFFFFF, arch, BEHIND, *ARGUMENTS))


def registers(names: Sequence[str], **values: int) -> list[int]:
    return [values.get(name, 1000 + place) & 2**64 - 1 for place, name in enumerate(names)]


def changed(names: Sequence[str], before: list[int], changes: dict[int, int]) -> dict[str, int]:
    return {names[place]: value for place, value in changes.items() if before[place] != value}


def x86(convention: str, number: int, result: int = -513, **others: int) -> list[int]:
    values = dict(zip(convention.split(), ARGUMENTS, strict=True))
    return registers(X86_64_NAMES, **values | {"rax": result, "orig_rax": number, "rip": BEHIND} | others)


NATIVE = "rdi rsi rdx r10 r8 r9"
COMPAT = "rbx rcx rdx rsi rdi rbp"


@pytest.mark.parametrize("result", [-512, -513, 0xFFFFFDFF])
@pytest.mark.parametrize(
    ("arch", "convention", "sixth"), [(X86_64.audit_arch, NATIVE, "r9"), (I386.audit_arch, COMPAT, "rbp")]
)
def test_x86_is_put_back_onto_its_call(arch: int, convention: str, sixth: str, result: int) -> None:
    found, waiting = x86(convention, 41, result), call(arch, 41)
    assert CONVENTIONS[arch].is_at(waiting, found)
    changes = CONVENTIONS[arch].again(waiting, found, 0x80000001)
    assert changed(X86_64_NAMES, found, changes) == {
        sixth: 0x80000001,
        "rax": 41,
        "rip": BEHIND - 2,
        "orig_rax": 2**64 - 1,
    }
    assert X86_64_NAMES[CONVENTIONS[arch].sixth] == sixth


@pytest.mark.parametrize(
    "others",
    [
        {"rax": -1}, {"rax": 0}, {"rax": -514}, {"rax": -516}, {"orig_rax": 42}, {"orig_rax": -1}, {"rip": BEHIND + 1},
        {"rdi": 0}, {"rsi": 0}, {"rdx": 0}, {"r10": 0}, {"r8": 0}, {"r9": 16},
    ],
)  # fmt: skip
def test_x86_elsewhere(others: dict[str, int]) -> None:
    assert not CONVENTIONS[X86_64.audit_arch].is_at(call(X86_64.audit_arch, 41), x86(NATIVE, 41, **others))


@pytest.mark.parametrize("number", [-1, 0x40000000 + 41, 0xFFFFFFFF])
def test_x86_numbers_that_are_no_calls_of_its_own(number: int) -> None:
    """Those of x32, and -1, which the kernel itself would not put back."""
    found, waiting = x86(NATIVE, number), call(X86_64.audit_arch, number)
    assert CONVENTIONS[X86_64.audit_arch].is_at(waiting, found)
    changes = CONVENTIONS[X86_64.audit_arch].again(waiting, found, 0x80000001)
    assert changes[X86_64_NAMES.index("rax")] == number & 2**64 - 1


REWOUND = [
    (AARCH64.audit_arch, AARCH64_NAMES, "x0 x1 x2 x3 x4 x5", "x8", {}, 4),
    (ARM.audit_arch, ARM_NAMES, "r0 r1 r2 r3 r4 r5", "r7", {"cpsr": 0x10}, 4),
    (ARM.audit_arch, ARM_NAMES, "r0 r1 r2 r3 r4 r5", "r7", {"cpsr": 0x30}, 2),  # Thumb
    (RISCV64.audit_arch, RISCV64_NAMES, "a0 a1 a2 a3 a4 a5", "a7", {}, 4),
]


@pytest.mark.parametrize("made", [198, -1])
@pytest.mark.parametrize(("arch", "names", "convention", "number", "mode", "length"), REWOUND)
def test_machines_that_have_put_it_back_already(
    arch: int, names: Sequence[str], convention: str, number: str, mode: dict[str, int], length: int, made: int
) -> None:
    """The call is the instruction before; nothing but the sixth argument is left to change."""
    values = dict(zip(convention.split(), ARGUMENTS, strict=True)) | mode | {number: made, "pc": BEHIND - length}
    found, waiting = registers(names, **values), call(arch, made)
    assert CONVENTIONS[arch].is_at(waiting, found)
    sixth = convention.split()[5]
    assert changed(names, found, CONVENTIONS[arch].again(waiting, found, 0x80000001)) == {sixth: 0x80000001}
    assert names[CONVENTIONS[arch].sixth] == sixth
    for name in (number, "pc", *convention.split()):
        assert not CONVENTIONS[arch].is_at(waiting, registers(names, **values | {name: 7})), name


@pytest.mark.parametrize("result", [-512, -513])
@pytest.mark.parametrize(("arch", "names", "convention", "number", "mode", "length"), REWOUND)
def test_none_to_put_back(
    arch: int, names: Sequence[str], convention: str, number: str, mode: dict[str, int], length: int, result: int
) -> None:
    """A call -1 on aarch64: the thread stands behind it, with the error in the place of the first argument."""
    first, *others = convention.split()
    values = dict(zip(others, ARGUMENTS[1:], strict=True)) | mode | {first: result, number: -1, "pc": BEHIND}
    found, waiting = registers(names, **values), call(arch, -1)
    assert CONVENTIONS[arch].is_at(waiting, found)
    assert changed(names, found, CONVENTIONS[arch].again(waiting, found, 0x80000001)) == {
        first: ARGUMENTS[0],
        others[-1]: 0x80000001,
        "pc": BEHIND - length,
    }
    assert not CONVENTIONS[arch].is_at(call(arch, 198), registers(names, **values | {number: 198}))
    for name in (first, number, "pc", *others):
        assert not CONVENTIONS[arch].is_at(waiting, registers(names, **values | {name: 7})), name


@pytest.mark.parametrize("result", [-512, 0xFFFFFE00])
def test_a_call_that_a_signal_has_interrupted_is_known_by_its_result(result: int) -> None:
    assert interrupted_call(x86(NATIVE, 41, result)) == (41, BEHIND - 2)


@pytest.mark.parametrize(
    "others",
    [
        {"result": 0},
        {"result": -4},
        {"result": -513},  # ERESTARTNOINTR: it is made again anyway
        {"result": -514},  # ERESTARTNOHAND: a wait of the kernel's own
        {"result": -512, "orig_rax": -1},  # the program's own value, where it makes no call
    ],
)
def test_other_threads_are_in_no_such_call(others: dict[str, int]) -> None:
    assert interrupted_call(x86(NATIVE, 41, **others)) is None
