"""Names of system calls: our table against libseccomp, against the C headers, and without libseccomp."""

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import pytest_seccomp
from pytest_seccomp.linux import syscalls
from pytest_seccomp.linux.architecture import AARCH64, ARCHITECTURES, ARM, I386, RISCV64, X32_BIT, X86_64, Architecture
from pytest_seccomp.linux.syscalls import (
    SystemCall,
    all_names,
    arch_name,
    audit_arch_of,
    identify,
    name_of,
    numbers_of,
)

ROOT = Path(pytest_seccomp.__file__).parents[1]
S390X = 0x80000016
TABLED = (X86_64, I386, AARCH64, RISCV64, ARM)
X86 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the headers of this machine are not those of x86")
NAMED = pytest.mark.parametrize("arch", TABLED, ids=lambda arch: arch.name)
# Every call that Linux added from 6.8 to 7.2 under one number for all architectures.
NEWEST = {
    457: "statmount",
    458: "listmount",
    459: "lsm_get_self_attr",
    460: "lsm_set_self_attr",
    461: "lsm_list_modules",
    462: "mseal",
    463: "setxattrat",
    464: "getxattrat",
    465: "listxattrat",
    466: "removexattrat",
    467: "open_tree_attr",
    468: "file_getattr",
    469: "file_setattr",
    470: "listns",
    471: "rseq_slice_yield",
}


@pytest.fixture(scope="module")
def seccomp() -> ModuleType:
    """pyseccomp, which raises RuntimeError where the library libseccomp is missing."""
    return import_module("pyseccomp")


@pytest.fixture
def table_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names come from our table alone."""
    monkeypatch.setattr(syscalls, "_libseccomp_name", lambda audit_arch, number: None)
    monkeypatch.setattr(syscalls, "_libseccomp_numbers", lambda name, audit_arch: ())


def libseccomp_names(seccomp: ModuleType, token: int, numbers: list[int]) -> dict[int, str]:
    """What libseccomp calls the numbers that it knows."""
    names = {}
    for number in numbers:
        try:
            names[number] = seccomp.resolve_syscall(token, number).decode()
        except ValueError:
            continue
    return names


@NAMED
@pytest.mark.needs("libseccomp")
@pytest.mark.usefixtures("table_alone")
def test_the_table_has_all_that_libseccomp_has(seccomp: ModuleType, arch: Architecture) -> None:
    theirs = libseccomp_names(seccomp, arch.audit_arch, [*range(472), *range(0xF0000, 0xF0010)])
    assert len(theirs) > 300
    assert {number: name_of(arch.audit_arch, number) for number in theirs} == theirs


@pytest.mark.needs("libseccomp")
@pytest.mark.usefixtures("table_alone")
def test_the_table_has_all_that_libseccomp_has_on_x32(seccomp: ModuleType) -> None:
    theirs = libseccomp_names(seccomp, 0x4000003E, [X32_BIT | number for number in range(548)])
    assert len(theirs) > 300
    assert {number: name_of(X86_64.audit_arch, number) for number in theirs} == theirs


def header_numbers(name: str) -> dict[str, int]:
    """The numbers `__NR_...` of an installed C header."""
    found = [
        path
        for folder in ("/usr/include", f"/usr/include/{os.uname().machine}-linux-gnu")
        if (path := Path(folder, name)).exists()
    ]
    definition = r"^#\s*define __NR_(\w+) +(?:\(__X32_SYSCALL_BIT \+ )?(\d+)\)?$"
    numbers = {call: int(number) for call, number in re.findall(definition, found[0].read_text(), re.MULTILINE)}
    for start_or_count in ("syscalls", "arch_specific_syscall"):
        numbers.pop(start_or_count, None)
    assert len(numbers) > 250
    return numbers


@X86
@pytest.mark.needs("kernel-headers")
@pytest.mark.usefixtures("table_alone")
@pytest.mark.parametrize(
    ("header", "audit_arch", "bit"),
    [
        ("asm/unistd_64.h", X86_64.audit_arch, 0),
        ("asm/unistd_x32.h", X86_64.audit_arch, X32_BIT),
        ("asm/unistd_32.h", I386.audit_arch, 0),
    ],
)
def test_the_table_has_all_that_the_headers_have(header: str, audit_arch: int, bit: int) -> None:
    theirs = {number | bit: name for name, number in header_numbers(header).items() if number < 472 or bit}
    assert {number: name_of(audit_arch, number) for number in theirs} == theirs


@pytest.mark.needs("kernel-headers")
@pytest.mark.usefixtures("table_alone")
def test_the_table_has_all_that_the_generic_header_has() -> None:
    # 403 to 423 are the 64-bit times of 32-bit architectures.
    numbers = header_numbers("asm-generic/unistd.h").items()
    theirs = {number: name for name, number in numbers if number < 403 or 423 < number < 472}
    assert {number: name_of(AARCH64.audit_arch, number) for number in theirs} == theirs


@NAMED
@pytest.mark.usefixtures("table_alone")
def test_the_newest_calls(arch: Architecture) -> None:
    assert {number: name_of(arch.audit_arch, number) for number in NEWEST} == NEWEST
    missing = [number for number in range(424, 472) if name_of(arch.audit_arch, number) is None]
    assert missing == ([447] if arch is ARM else [])  # memfd_secret is not for ARM


@pytest.mark.usefixtures("table_alone")
def test_the_newest_calls_of_x32() -> None:
    assert {number: name_of(X86_64.audit_arch, X32_BIT | number) for number in NEWEST} == NEWEST


@pytest.mark.usefixtures("table_alone")
@pytest.mark.parametrize(
    ("arch", "last", "unassigned"),
    [
        (X86_64, 336, set()),
        (I386, 423, {222, 223, 251, 285, 415, *range(387, 393)}),
        (AARCH64, 423, {*range(244, 260), *range(295, 424)}),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_only_unassigned_numbers_have_no_name(arch: Architecture, last: int, unassigned: set[int]) -> None:
    assert {number for number in range(last + 1) if name_of(arch.audit_arch, number) is None} == unassigned


@pytest.mark.parametrize(
    ("arch", "number", "name"),
    [
        (X86_64, 0, "read"),
        (X86_64, 335, "uretprobe"),
        (X86_64, 336, "uprobe"),
        (I386, 0, "restart_syscall"),
        (I386, 20, "getpid"),
        (I386, 102, "socketcall"),
        (I386, 140, "_llseek"),
        (AARCH64, 79, "newfstatat"),
        (AARCH64, 80, "fstat"),
        (AARCH64, 222, "mmap"),
        (RISCV64, 258, "riscv_hwprobe"),
        (ARM, 270, "arm_fadvise64_64"),
        (ARM, 0xF0002, "cacheflush"),
        (ARM, 0xF0006, "get_tls"),
    ],
)
def test_name(arch: Architecture, number: int, name: str) -> None:
    assert name_of(arch.audit_arch, number) == name
    assert identify(arch.audit_arch, number) == SystemCall(arch.name, number, name)
    assert number in numbers_of(name, arch.audit_arch)


@pytest.mark.parametrize(
    ("audit_arch", "number"),
    [
        (X86_64.audit_arch, 400),
        (X86_64.audit_arch, 520),  # x32's, without the bit
        (X86_64.audit_arch, X32_BIT | 59),  # x86_64's own execve, with x32's bit
        (X86_64.audit_arch, -1),
        (X86_64.audit_arch, 2**32 - 1),
        (X86_64.audit_arch, 2**32 + 39),  # would be getpid to libseccomp, which takes an int
        (I386.audit_arch, -101),  # libseccomp's pseudo number of socket
        (RISCV64.audit_arch, 38),  # renameat is older than riscv64
        (0, 0),  # libseccomp takes 0 for the native architecture
        (0xDEADBEEF, 0),
    ],
)
def test_an_unknown_call_has_no_name(audit_arch: int, number: int) -> None:
    assert name_of(audit_arch, number) is None


def test_x32_has_its_own_name_and_keeps_its_number() -> None:
    assert identify(X86_64.audit_arch, X32_BIT | 520) == ("x32", X32_BIT | 520, "execve")
    assert identify(X86_64.audit_arch, X32_BIT | 39) == ("x32", X32_BIT | 39, "getpid")
    assert identify(X86_64.audit_arch, X32_BIT | 59) == ("x32", X32_BIT | 59, None)
    assert numbers_of("execve", X86_64.audit_arch) == (59, X32_BIT | 520)
    assert audit_arch_of("x32") == X86_64.audit_arch
    assert arch_name(X86_64.audit_arch) == "x86_64"
    assert identify(X86_64.audit_arch, -1).arch == "x86_64"
    assert identify(I386.audit_arch, X32_BIT).arch == "i386"


@pytest.mark.needs("libseccomp")
def test_an_architecture_outside_of_the_table_is_named_by_libseccomp() -> None:
    assert identify(S390X, 222) == ("s390x", 222, "readahead")
    assert numbers_of("getpid", S390X) == (20,)
    assert numbers_of("no_such_call", S390X) == ()
    assert all_names(S390X) == frozenset()


def test_names_of_architectures_go_both_ways() -> None:
    for arch in ARCHITECTURES:
        assert arch_name(arch.audit_arch) == arch.name
        assert audit_arch_of(arch.name) == arch.audit_arch
    assert arch_name(0x1) == "0x00000001"
    assert audit_arch_of("0x00000001") == 1


@pytest.mark.parametrize("text", ["", "amd64", "X86_64", "0x1", "0x00000001 ", "0xDEADBEEF", "0x123456789", "0xfoo"])
def test_an_unknown_architecture_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unknown architecture"):
        audit_arch_of(text)


@NAMED
def test_every_name_leads_to_numbers_that_have_it(arch: Architecture) -> None:
    names = all_names(arch.audit_arch)
    assert len(names) > 300
    for name in names:
        assert {name_of(arch.audit_arch, number) for number in numbers_of(name, arch.audit_arch)} == {name}


def test_all_names_of_all_architectures() -> None:
    assert all_names() == frozenset().union(*(all_names(arch.audit_arch) for arch in TABLED))
    assert {"openat", "socketcall", "cacheflush", "file_setattr", "riscv_hwprobe"} <= all_names()


def test_a_call_that_an_architecture_lacks_has_no_numbers() -> None:
    assert numbers_of("open", AARCH64.audit_arch) == ()
    assert numbers_of("socketcall", X86_64.audit_arch) == ()
    assert numbers_of("no_such_call", X86_64.audit_arch) == ()
    assert numbers_of("read", 0) == ()


def run(code: str, folder: Path) -> list[str]:
    """What code prints with the names of syscalls.py at hand and folder as the first place to import from."""
    path = f"import sys; sys.path[:0] = {[str(folder), str(ROOT)]!r}\n"
    code = f"{path}from pytest_seccomp.linux.syscalls import *\n{code}"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()


def test_without_libseccomp(tmp_path: Path) -> None:
    (tmp_path / "pyseccomp.py").write_text("print('asked'); raise RuntimeError('Unable to find libseccomp')\n")
    shown = run(
        f"print(name_of({X86_64.audit_arch}, 257), name_of({AARCH64.audit_arch}, 80))\n"
        f"print(name_of({I386.audit_arch}, 102))\n"
        f"print(name_of({X86_64.audit_arch}, 400), name_of({S390X}, 1), numbers_of('getpid', {S390X}))\n",
        tmp_path,
    )
    assert shown == ["openat", "fstat", "socketcall", "asked", "None", "None", "()"]


def test_libseccomp_is_not_loaded_for_names_in_the_table(tmp_path: Path) -> None:
    shown = run(
        f"print(identify({X86_64.audit_arch}, 39).name, arch_name(1), *numbers_of('read', {AARCH64.audit_arch}))\n"
        "print('pyseccomp' in sys.modules, 'ctypes' in sys.modules)\n",
        tmp_path,
    )
    assert shown == ["getpid", "0x00000001", "63", "False", "False"]
