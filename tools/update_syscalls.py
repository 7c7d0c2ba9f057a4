"""Write the table of system call names and numbers from the tables in a kernel source tree.

Usage: python tools/update_syscalls.py LINUX_SOURCE_TREE
Run it on a newer kernel to learn its calls; the diff of the table shows what came. Calls are never renumbered.
"""

import re
import sys
from pathlib import Path

TABLE = Path(__file__).parents[1] / "pytest_seccomp" / "linux" / "syscalls.txt"

# Which table each architecture is built from, and which of its rows: arch/x86/entry/syscalls/Makefile,
# scripts/Makefile.asm-headers with arch/{arm64,riscv}/kernel/Makefile.syscalls, arch/arm/tools/Makefile.
COLUMNS = {
    "x86_64": ("arch/x86/entry/syscalls/syscall_64.tbl", {"common", "64"}),
    "x32": ("arch/x86/entry/syscalls/syscall_64.tbl", {"common", "x32"}),
    "i386": ("arch/x86/entry/syscalls/syscall_32.tbl", {"i386"}),
    "aarch64": ("scripts/syscall.tbl", {"common", "64", "renameat", "rlimit", "memfd_secret"}),
    "riscv64": ("scripts/syscall.tbl", {"common", "64", "riscv", "rlimit", "memfd_secret"}),
    "arm": ("arch/arm/tools/syscall.tbl", {"common"}),
}
ARM_PRIVATE = "arch/arm/include/uapi/asm/unistd.h"  # __ARM_NR_*: outside of ARM's table, from 0xf0000 on

HEAD = """\
# System calls of Linux {version}: one a line, its number on each architecture, "-" where there is none.
# The numbers of x32 are without the bit 0x40000000 that x32 calls carry. "arm" is the EABI with its private calls.
# Written by tools/update_syscalls.py from the kernel's own tables:
{sources}
"""


def numbers(tree: Path, table: str, abis: set[str]) -> dict[str, int]:
    """The calls of one architecture by name: the rows `NUMBER ABI NAME ...` of a table whose ABI is one of abis."""
    calls: dict[str, int] = {}
    for line in (tree / table).read_text().splitlines():
        number, abi, name, *_ = [*line.partition("#")[0].split(), "", "", ""]
        if abi in abis:
            if name in calls or int(number) in calls.values():
                sys.exit(f"{tree / table}: {name} {number} is there twice")
            calls[name] = int(number)
    return calls


def arm_private(tree: Path) -> dict[str, int]:
    """The private calls of ARM by name."""
    definitions = re.findall(r"define __ARM_NR_(\w+)\s+\(__ARM_NR_BASE\+(\d+)\)", (tree / ARM_PRIVATE).read_text())
    return {name: 0xF0000 + int(offset) for name, offset in definitions}


def main(tree: Path) -> None:
    version = ".".join(re.findall(r"^(?:VERSION|PATCHLEVEL) = (\d+)$", (tree / "Makefile").read_text(), re.MULTILINE))
    columns = {arch: numbers(tree, *source) for arch, source in COLUMNS.items()}
    columns["arm"] |= arm_private(tree)
    sources = "\n".join(f"#   {path}" for path in [*dict.fromkeys(table for table, _ in COLUMNS.values()), ARM_PRIVATE])
    rows = [["name", *columns]]
    for name in sorted(set().union(*columns.values())):
        rows.append([name, *(str(calls.get(name, "-")) for calls in columns.values())])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        " ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])  # the name left, numbers right
        for row in rows
    ]
    TABLE.write_text(HEAD.format(version=version, sources=sources) + "\n".join(lines) + "\n", encoding="ascii")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
