"""Where the arguments of a system call are, and what tells a call of 32 bits."""

import platform
import subprocess
from pathlib import Path

import pytest

from pytest_seccomp.errors import BackendError
from pytest_seccomp.linux.architecture import AARCH64, RISCV64, X86_64
from pytest_seccomp.linux.bpf_registers import entry_layout


@pytest.mark.parametrize(
    ("release", "offset"),
    [("6.18.44-fc", 16), ("5.11-rc1", 16), ("5.11.0", 16), ("5.10.200-1-amd64", 8), ("4.18.0-553.el8.x86_64", 8)],
)
def test_the_status_of_a_thread_moved_with_linux_5_11(release: str, offset: int) -> None:
    assert entry_layout(X86_64, release).compat_offset == offset


@pytest.mark.needs("c-compiler")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the registers of x86-64")
def test_offsets_are_those_of_the_headers(tmp_path: Path) -> None:
    source = tmp_path / "offsets.c"
    source.write_text(
        "#include <asm/ptrace.h>\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {\n"
        'printf("%zu %zu", offsetof(struct pt_regs, rdx), offsetof(struct pt_regs, r8));\n}\n'
    )
    subprocess.run(["gcc", "-o", tmp_path / "offsets", source], check=True)
    printed = subprocess.run([tmp_path / "offsets"], capture_output=True, text=True, check=True).stdout
    layout = entry_layout(X86_64)
    assert printed == f"{layout.argument_2} {layout.argument_4}"


def test_aarch64_has_all_of_it_in_the_registers() -> None:
    layout = entry_layout(AARCH64)
    # struct user_pt_regs: x0 to x30, sp, pc, pstate, of 64 bits each
    assert (layout.argument_2, layout.argument_4, layout.compat_offset) == (8 * 2, 8 * 4, 8 * 33)
    assert not layout.compat_in_task


def test_another_architecture_is_refused() -> None:
    with pytest.raises(BackendError, match="how the kernel keeps the registers of riscv64"):
        entry_layout(RISCV64)
