"""A profile in a container that runc runs, and the same profile here: each call has the same end."""

import json
import os
import platform
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import container
import pytest
from judged import X86_64, Call

from pytest_seccomp.linux import architecture
from pytest_seccomp.linux.syscalls import all_names, numbers_of
from pytest_seccomp.profile.actions import Action
from pytest_seccomp.profile.bpf import decoded, evaluate
from pytest_seccomp.profile.compiling import program
from pytest_seccomp.profile.oci import from_profile
from pytest_seccomp.profile.selection import Host

X32_BIT = 0x40000000
GETUID, GETGID, GETEUID, GETEGID, GETPPID, GETPGRP, GETTID, MSEAL = 102, 104, 107, 108, 110, 111, 186, 462
IGNORING_ARGUMENTS = {"getuid", "getgid", "geteuid", "getegid", "getppid", "getpgrp", "gettid"}
DEFAULT = 3001  # errors that the kernel itself never gives


def entry(name: str, action: int | None, *arguments: tuple[int, str, int, int]) -> dict[str, Any]:
    """`action`: the error, None to allow."""
    compared = [
        {"index": index, "op": f"SCMP_CMP_{operator}", "value": value, "valueTwo": two}
        for index, operator, value, two in arguments
    ]
    verdict = {"action": "SCMP_ACT_ALLOW"} if action is None else {"action": "SCMP_ACT_ERRNO", "errnoRet": action}
    return {"names": [name], **verdict, "args": compared}


ENTRIES = [
    entry("getppid", None, (0, "EQ", 1, 0)),
    entry("getppid", 3002),
    entry("getppid", None),
    entry("getuid", None, (0, "EQ", 1, 0)),
    entry("getuid", 3003, (0, "EQ", 2, 0)),
    entry("geteuid", DEFAULT, (0, "EQ", 7, 0)),
    entry("geteuid", DEFAULT),
    entry("geteuid", None, (0, "GT", 2**32, 0)),
    entry("getgid", None, (0, "EQ", 1, 0), (0, "EQ", 2, 0), (1, "LT", 1, 0)),
    entry("getegid", None, (2, "MASKED_EQ", 2**33 | 6, 2**33 | 2)),
    entry("getpgrp", 3004, (0, "NE", 7, 0), (1, "LE", 2**32, 0), (5, "GE", 9, 0)),
]

CALLS = [
    *(Call(X86_64, number, (value, other, 0, 0, 0, 9)) for number in (GETPPID, GETUID, GETEUID, GETGID, GETPGRP)
      for value in (0, 1, 2, 7, 2**32, 2**32 + 1, 2**64 - 1) for other in (0, 1, 2**32 + 1)),
    *(Call(X86_64, GETEGID, (0, 0, bits, 0, 0, 0)) for bits in (0, 2, 2**33, 2**33 | 2, 2**33 | 3, 2**33 | 6)),
    Call(X86_64, GETPGRP, (0, 0, 0, 0, 0, 8)),
    *(Call(X86_64, number) for number in (GETTID, 400, MSEAL, 500, X32_BIT | GETPPID, X32_BIT | 400, X32_BIT | 9999)),
]  # fmt: skip

PROGRAM = """
    import ctypes, json, sys
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    ends = []
    for number, arguments in json.loads(sys.argv[1]):
        words = map(ctypes.c_ulong, [number, *arguments])
        ends.append(ctypes.get_errno() if libc.syscall(*words) < 0 else None)
    print(json.dumps(ends))
"""


@pytest.mark.needs("runc")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of x86-64")
def test_each_call_ends_as_in_a_container(tmp_path: Path) -> None:
    made = json.dumps([(call.number, call.arguments) for call in CALLS])
    config = container.configuration([os.path.realpath(sys.executable), "-I", "-S", "-c", dedent(PROGRAM), made])
    config["mounts"].append(container.bind(Path(sys.base_prefix)))
    others = [name for name in all_names(X86_64) if min(numbers_of(name, X86_64)) < MSEAL]
    config["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": DEFAULT,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"],
        "syscalls": [
            {"names": sorted({*others} - IGNORING_ARGUMENTS), "action": "SCMP_ACT_ALLOW"},
            *ENTRIES,
        ],
    }
    bundle = container.write_bundle(tmp_path, config)
    result = container.run(bundle)
    assert result.returncode == 0, result.stderr
    code = decoded(program(from_profile(bundle / "config.json", Host(architecture.X86_64, (6, 18), frozenset()))))
    actions = [Action.from_verdict(evaluate(code, call.data)) for call in CALLS]
    ours = [None if action.name == "allow" else action.data for action in actions]
    assert dict(zip(CALLS, json.loads(result.stdout), strict=True)) == dict(zip(CALLS, ours, strict=True))
    assert {*ours} == {None, DEFAULT, 3002, 3003, 3004, 38}
