"""minijail's policies, read by the rules of minijail0(5)."""

import re

import pytest
from profiled import EPERM, profile

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.formats import bases
from pytest_seccomp.formats.minijail import FORMAT
from pytest_seccomp.formats.profile import Profile


def read(data: bytes) -> dict[str, str]:
    """What a policy says: `name: expression` a line, `#` begins a comment, a name may not come twice."""
    found: dict[str, str] = {}
    for line in data.decode("ascii").splitlines():
        text = line.partition("#")[0].strip()
        if text:
            match = re.fullmatch(r"([a-z0-9_]+): (.+)", text)
            assert match, line
            assert match[1] not in found
            found[match[1]] = match[2]
    return found


def test_a_policy() -> None:
    traced = profile(("x86_64", 0), ("x86_64", 59), ("x86_64", 4000), ("i386", 102), remarks=("A\nremark.",))
    parts = [*traced.parts, bases.find("exec").part({"x86_64"}), bases.find("end").part({"x86_64", "i386"})]
    made = FORMAT.write(Profile.of("app", FORMAT.action(None), parts, traced.remarks))
    listed = ["socketcall", "restart_syscall", "exit", "sigreturn", "rt_sigreturn", "exit_group"]
    others = ", ".join(f"i386:{name}" for name in listed)
    assert made.left_out == (
        f"Left out, for minijail allows none but those of the machine itself: {others}.",
        "Left out, for the format takes names alone: x86_64:4000.",
    )
    names = ["read", "execve", "exit", "exit_group", "restart_syscall", "rt_sigreturn"]
    assert read(made.data) == dict.fromkeys(names, "1")
    assert all(f"# {text}" in made.data.decode() for text in made.left_out)


def test_a_policy_is_for_one_machine_and_kills() -> None:
    with pytest.raises(SeccompError, match="is for one machine, and there are calls of aarch64, x86_64: generate one "):
        FORMAT.write(profile(("x86_64", 0), ("aarch64", 63)))
    with pytest.raises(SeccompError, match="minijail cannot give errno:EPERM to other calls: it has kill_process"):
        FORMAT.action(EPERM)
