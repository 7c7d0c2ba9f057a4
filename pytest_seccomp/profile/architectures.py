"""The architectures of a policy: which ones a machine runs, and their names in profiles.

Sources: the runtime specification of the OCI (config-linux.md, Seccomp), moby's profiles/seccomp/seccomp_linux.go.
"""

COMPANIONS = {
    "x86_64": ("x86_64", "x32", "i386"),
    "aarch64": ("aarch64", "arm"),
    "riscv64": ("riscv64",),
}
"""Whose calls can come on a machine, by its own architecture: that one, and what its kernel may be built to run."""

_MACHINES = {companion: machine for machine, companions in COMPANIONS.items() for companion in companions}

NARROW = frozenset({"i386", "x32", "arm"})
"""Whose arguments have 32 bits. Those of x32 come in whole registers: libseccomp compares their lower half alone, and
so do we."""

PROFILE_NAMES = {
    "SCMP_ARCH_X86": "i386",
    "SCMP_ARCH_X86_64": "x86_64",
    "SCMP_ARCH_X32": "x32",
    "SCMP_ARCH_ARM": "arm",
    "SCMP_ARCH_AARCH64": "aarch64",
    "SCMP_ARCH_RISCV64": "riscv64",
    "SCMP_ARCH_LOONGARCH64": "loongarch64",
    "SCMP_ARCH_M68K": "m68k",
    "SCMP_ARCH_MIPS": "mips",
    "SCMP_ARCH_MIPSEL": "mipsel",
    "SCMP_ARCH_MIPS64": "mips64",
    "SCMP_ARCH_MIPSEL64": "mipsel64",
    "SCMP_ARCH_MIPS64N32": "mips64n32",
    "SCMP_ARCH_MIPSEL64N32": "mipsel64n32",
    "SCMP_ARCH_PARISC": "parisc",
    "SCMP_ARCH_PARISC64": "parisc64",
    "SCMP_ARCH_PPC": "ppc",
    "SCMP_ARCH_PPC64": "ppc64",
    "SCMP_ARCH_PPC64LE": "ppc64le",
    "SCMP_ARCH_S390": "s390",
    "SCMP_ARCH_S390X": "s390x",
    "SCMP_ARCH_SH": "sh",
    "SCMP_ARCH_SHEB": "sheb",
}
"""Our names by those in `architectures` and `archMap`."""

DOCKER_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "riscv64": "riscv64"}
"""The names of machines in docker's `includes` and `excludes`, by ours."""

OTHER_DOCKER_NAMES = frozenset({
    "386", "x86", "x32", "arm", "loong64", "loongarch64", "mips", "mipsle", "mipsel", "mips64", "mips64le", "mipsel64",
    "mips64n32", "mips64p32", "mips64p32le", "mips3l64n32", "mipsel64n32", "parisc", "parisc64", "ppc", "ppc64",
    "ppc64le", "s390", "s390x",
})  # fmt: skip
"""Names in `includes` and `excludes` that are right, and never those of a machine that runs us: docker compares with
the machine alone, so that its `x32` and `x86` never meet."""


def machine_of(arch: str) -> str:
    """The architecture of the machine on which calls of an architecture are made: x86_64 for i386; that one itself
    where nobody knows."""
    return _MACHINES.get(arch, arch)
