"""Architectures: their numbers against libseccomp, and which of them this process is taken for."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import pytest_seccomp
from pytest_seccomp.errors import BackendError
from pytest_seccomp.linux import architecture
from pytest_seccomp.linux.architecture import AARCH64, ARCHITECTURES, RISCV64, X86_64, NativeArchitecture, native

ROOT = Path(pytest_seccomp.__file__).parents[1]
CALLS = (
    *NativeArchitecture.__slots__,
    "pidfd_send_signal",
    "pidfd_open",
    "clone3",
    "close_range",
    "pidfd_getfd",
)
# What libseccomp calls otherwise, and what the kernel has but libseccomp has not or only from 2.6 on.
SECCOMP_NAMES = {"i386": "x86"}
NOT_IN_LIBSECCOMP = {"riscv32", "loongarch64", "m68k", "sparc", "sparc64"}


@pytest.fixture(scope="module")
def seccomp() -> ModuleType:
    """pyseccomp, which raises RuntimeError where the library libseccomp is missing."""
    return import_module("pyseccomp")


@pytest.mark.needs("libseccomp")
def test_audit_numbers_are_those_of_libseccomp(seccomp: ModuleType) -> None:
    ours = {a.name: a.audit_arch for a in ARCHITECTURES if a.name not in NOT_IN_LIBSECCOMP}
    theirs = {name: getattr(seccomp.Arch, SECCOMP_NAMES.get(name, name).upper()) for name in ours}
    assert ours == theirs


def test_audit_numbers_and_names_are_unique() -> None:
    assert len({a.audit_arch for a in ARCHITECTURES}) == len({a.name for a in ARCHITECTURES}) == len(ARCHITECTURES)


@pytest.mark.needs("libseccomp")
@pytest.mark.parametrize("arch", [X86_64, AARCH64, RISCV64], ids=lambda arch: arch.name)
@pytest.mark.parametrize("call", CALLS)
def test_numbers_are_those_of_libseccomp(seccomp: ModuleType, arch: NativeArchitecture, call: str) -> None:
    assert getattr(arch, call) == seccomp.resolve_syscall(arch.audit_arch, call)


def pretend(monkeypatch: pytest.MonkeyPatch, machine: str, bits: int) -> None:
    monkeypatch.setattr(architecture, "uname", lambda: SimpleNamespace(machine=machine))
    monkeypatch.setattr(architecture, "sys", SimpleNamespace(maxsize=2 ** (bits - 1) - 1))


@pytest.mark.parametrize(
    ("machine", "expected"),
    [("x86_64", X86_64), ("i686", X86_64), ("aarch64", AARCH64), ("armv8l", AARCH64), ("riscv64", RISCV64)],
)
def test_native_by_machine(monkeypatch: pytest.MonkeyPatch, machine: str, expected: NativeArchitecture) -> None:
    pretend(monkeypatch, machine, 64)
    assert native() is expected


@pytest.mark.parametrize("machine", ["x86_64", "i686", "aarch64", "armv7l"])
def test_a_32_bit_python_is_refused(monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    pretend(monkeypatch, machine, 32)
    with pytest.raises(BackendError, match=f"32-bit Python .*{machine}.*64-bit Python"):
        native()


@pytest.mark.parametrize("machine", ["s390x", "aarch64_be", "ppc64le"])
def test_an_unsupported_machine_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    pretend(monkeypatch, machine, 64)
    with pytest.raises(BackendError, match=f"machine {machine}: .*supported"):
        native()


def run(code: str, *options: str) -> str:
    code = f"import sys; sys.path.append({str(ROOT)!r})\n{code}"
    return subprocess.run([sys.executable, *options, "-c", code], check=True, capture_output=True, text=True).stdout


@pytest.mark.needs("i386")
def test_native_under_the_personality_of_a_32_bit_machine() -> None:
    uname, name = run(
        "import ctypes, os\n"
        "ctypes.CDLL(None).personality(0x0008)\n"  # PER_LINUX32
        "from pytest_seccomp.linux.architecture import native\n"
        "print(os.uname().machine, native().name)"
    ).split()
    assert uname != os.uname().machine
    assert name == native().name


def test_the_recorder_pays_for_no_heavy_import() -> None:
    loaded = run("import os; import pytest_seccomp.linux.architecture; print(*sys.modules)", "-I", "-S").split()
    ours = {"pytest_seccomp", "pytest_seccomp.errors", "pytest_seccomp.linux", "pytest_seccomp.linux.architecture"}
    assert set(loaded) - set(run("import os; print(*sys.modules)", "-I", "-S").split()) == ours
