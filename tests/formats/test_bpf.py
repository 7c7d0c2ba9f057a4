"""The filter itself: in bubblewrap, and as the kernel's rules decide."""

import subprocess
from pathlib import Path

import pytest
from judged import I386, X86_64, Call
from profiled import DENIED, EPERM, INSIDE, OUTSIDE, profile, trace_of_program

from pytest_seccomp.cli import main
from pytest_seccomp.errors import SeccompError
from pytest_seccomp.formats.bpf import FORMAT
from pytest_seccomp.formats.profile import Allowed, Part, Profile
from pytest_seccomp.profile.actions import Action
from pytest_seccomp.profile.bpf import decoded, evaluate


def confined(filter: Path, argv: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a program in bubblewrap under a filter."""
    options = ["--ro-bind", "/", "/", "--dev", "/dev", "--tmpfs", "/tmp", "--chdir", "/tmp", "--unshare-pid"]
    with filter.open("rb") as file:
        descriptor = file.fileno()
        command = ["bwrap", *options, "--seccomp", str(descriptor), *argv]
        return subprocess.run(
            command, pass_fds=[descriptor], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )


@pytest.mark.needs("listener", "bubblewrap")
def test_bubblewrap_takes_it_and_the_kernel_holds_to_it(tmp_path: Path) -> None:
    """With the last resort for what is not allowed: whatever bubblewrap does itself is allowed."""
    trace = str(trace_of_program(tmp_path))
    assert main(["generate", trace, "--format=bpf", "--output", str(tmp_path / "filter")]) == 0
    inside, outside = confined(tmp_path / "filter", INSIDE), confined(tmp_path / "filter", OUTSIDE)
    assert (inside.returncode, inside.stdout, inside.stderr) == (0, "hello\n", "")
    assert (outside.returncode, outside.stdout) == (1, "hello\n")
    assert DENIED in outside.stderr
    assert main(["generate", trace, "--format=bpf", "--default=kill_process", "-o", str(tmp_path / "deadly")]) == 0
    inside, outside = confined(tmp_path / "deadly", INSIDE), confined(tmp_path / "deadly", OUTSIDE)
    assert (inside.returncode, inside.stdout, inside.stderr) == (0, "hello\n", "")
    assert (outside.returncode, outside.stdout, DENIED in outside.stderr) == (128 + 31, "hello\n", False)  # SIGSYS


def test_by_number_and_for_no_other_architecture() -> None:
    """Calls without a name and those of 32-bit programs too; what no trace has been made of gets the default."""
    made = FORMAT.write(profile(("x86_64", 0), ("x86_64", 4000), ("i386", 102), ("x32", 0x40000001)))
    assert made.left_out == ()

    def verdict(arch: int, number: int) -> str:
        return str(Action.from_verdict(evaluate(decoded(made.data), Call(arch, number).data)))

    allowed = [(X86_64, 0), (X86_64, 4000), (I386, 102), (X86_64, 0x40000001)]
    assert {verdict(*call) for call in allowed} == {"allow"}
    others = [(X86_64, 1), (X86_64, 102), (I386, 0), (X86_64, 0x40000000), (X86_64, 2**32 - 1), (0xC00000B7, 0)]
    assert {verdict(*call) for call in others} == {"errno:EPERM"}


def test_what_no_kernel_makes_is_told() -> None:
    calls = (Allowed("x86_64", -1, None), Allowed("x86_64", 0, "read"))
    made = FORMAT.write(Profile.of("app", EPERM, [Part("Called in out.ndjson", calls)]))
    assert made.left_out == ("Left out, for no call has such a number: x86_64:-1.",)


def test_an_architecture_that_nobody_knows_is_an_error() -> None:
    calls = (Allowed("m88k", 1, "exit"),)
    with pytest.raises(SeccompError, match="'m88k', which this version does not know: "):
        FORMAT.write(Profile.of("app", EPERM, [Part("Called in out.ndjson", calls)]))
