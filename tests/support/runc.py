"""The filter that a container has for a profile: by libseccomp, with what docker and runc do before they call it.

For x86-64. What libseccomp does not know is left out, as runc does.
"""

import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

_ARCHITECTURES = {"SCMP_ARCH_X86": 0x40000003, "SCMP_ARCH_X32": 0x4000003E}
_OPERATORS = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]  # libseccomp counts them from 1 on


def reference(path: Path, kernel: tuple[int, int], capabilities: frozenset[str]) -> bytes:
    """The filter of a profile in docker's format."""
    seccomp: Any = import_module("pyseccomp")
    actions = {"ALLOW": 0x7FFF0000, "LOG": 0x7FFC0000, "TRAP": 0x30000, "KILL": 0, "KILL_PROCESS": 0x80000000}
    profile = json.loads(path.read_text())

    def action_of(name: str, number: int | None) -> int:
        name = name.removeprefix("SCMP_ACT_")
        return 0x50000 | (1 if number is None else number) if name == "ERRNO" else actions[name]

    def includes(selection: dict[str, Any], every: Any) -> bool:
        checks = [one in capabilities for one in selection.get("caps") or ()]
        checks += ["amd64" in selection["arches"]] if selection.get("arches") else []
        if selection.get("minKernel"):
            checks.append(kernel >= tuple(map(int, selection["minKernel"].split("."))))
        return bool(every(checks))

    default = action_of(profile["defaultAction"], profile.get("defaultErrnoRet"))
    made = seccomp.SyscallFilter(default)
    for entry in profile.get("archMap") or ():
        if entry["architecture"] == "SCMP_ARCH_X86_64":
            for name in entry["subArchitectures"]:
                made.add_arch(_ARCHITECTURES[name])
    for entry in profile["syscalls"]:
        if not includes(entry.get("includes") or {}, all) or includes(entry.get("excludes") or {}, any):
            continue
        action = action_of(entry["action"], entry.get("errnoRet"))
        arguments = [
            seccomp.Arg(
                one["index"],
                1 + _OPERATORS.index(one["op"].removeprefix("SCMP_CMP_")),
                one["value"],
                one.get("valueTwo", 0),
            )
            for one in entry.get("args") or ()
        ]
        for name in entry["names"]:
            if action != default and seccomp.resolve_syscall(seccomp.Arch.X86_64, name) != -1:
                made.add_rule(action, name, *arguments)
    with os.fdopen(os.memfd_create("filter"), "rb+") as file:
        made.export_bpf(file)
        file.seek(0)
        return file.read()
