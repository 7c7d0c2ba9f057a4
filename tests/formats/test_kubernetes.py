"""The resource of the security-profiles-operator: held against the types that it publishes."""

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from profiled import profile

from pytest_seccomp.formats import bases
from pytest_seccomp.formats.kubernetes import FORMAT
from pytest_seccomp.formats.profile import Part, Profile
from pytest_seccomp.profile.actions import Action

_ACTIONS = "KILL KILL_PROCESS KILL_THREAD TRAP ERRNO TRACE ALLOW LOG NOTIFY"
_ARCHITECTURES = """
    NATIVE X86 X86_64 X32 ARM AARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 S390X
    PARISC PARISC64 RISCV64
"""
ACTIONS = {f"SCMP_ACT_{name}" for name in _ACTIONS.split()}
ARCHITECTURES = {f"SCMP_ARCH_{name}" for name in _ARCHITECTURES.split()}
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")  # RFC 1123, for metadata.name

# From the operator's api/seccompprofile/v1beta1/seccompprofile_types.go: members, and whether they must be there.
SPEC = {
    "baseProfileName": False, "defaultAction": True, "architectures": False, "listenerPath": False,
    "listenerMetadata": False, "syscalls": False, "flags": False,
}  # fmt: skip
SYSCALL = {"names": True, "action": True, "errnoRet": False, "args": False}


def hold(members: Mapping[str, Any], known: Mapping[str, bool]) -> None:
    assert {name for name, needed in known.items() if needed} <= members.keys() <= known.keys()


def checked(data: bytes) -> dict[str, Any]:
    """The resource, after it has been held against the types."""
    resource: dict[str, Any] = import_module("yaml").safe_load(data)
    hold(resource, {"apiVersion": True, "kind": True, "metadata": True, "spec": True})
    assert resource["apiVersion"] == "security-profiles-operator.x-k8s.io/v1beta1"
    assert resource["kind"] == "SeccompProfile"
    assert NAME.fullmatch(resource["metadata"]["name"])
    assert all(isinstance(text, str) for text in resource["metadata"]["annotations"].values())
    spec = resource["spec"]
    hold(spec, SPEC)
    assert spec["defaultAction"] in ACTIONS
    assert {*spec["architectures"]} <= ARCHITECTURES
    for entry in spec["syscalls"]:
        hold(entry, SYSCALL)
        assert entry["action"] in ACTIONS
        assert entry["names"]
        assert all(isinstance(name, str) and re.fullmatch("[a-z0-9_]+", name) for name in entry["names"])
    return resource


def test_a_resource() -> None:
    """With what could not be said, and with texts that YAML would take for something else."""
    traced = profile(("x86_64", 0), ("x86_64", 4000), ("i386", 102), ("0x0000beef", 7), remarks=('A "remark": {#.',))
    parts = [*traced.parts, bases.find("end").part({"x86_64"})]
    made = FORMAT.write(Profile.of("1e3", traced.default, parts, traced.remarks))
    assert made.left_out == (
        "Left out, for the operator does not know their architecture: 0x0000beef:7.",
        "Left out, for the format takes names alone: x86_64:4000.",
    )
    resource = checked(made.data)
    assert resource["metadata"]["name"] == "1e3"
    description = resource["metadata"]["annotations"]["description"]
    assert description.startswith('Made by pytest-seccomp generate. A "remark": {#. Left out, ')
    assert resource["spec"] == {
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [
            {"action": "SCMP_ACT_ALLOW", "names": ["read", "socketcall"]},
            {"action": "SCMP_ACT_ALLOW", "names": ["exit", "exit_group", "restart_syscall", "rt_sigreturn"]},
        ],
    }
    assert "    - exit  # ends the program or a thread\n" in made.data.decode()


def test_any_default_and_any_call_that_has_a_name() -> None:
    """No name is something else in YAML."""
    names = sorted({name for base in bases.bases().values() for name in base.reasons})
    every = Part("x", bases.Base("x", "x", dict.fromkeys(names, "x")).part({"x86_64"}).calls)
    for name in ("kill_process", "kill_thread", "trap", "log"):
        resource = checked(FORMAT.write(Profile.of("app", Action.parse(name), [every])).data)
        assert resource["spec"]["defaultAction"] == f"SCMP_ACT_{name.upper()}"
