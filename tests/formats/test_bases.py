"""Base sets."""

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.formats import bases
from pytest_seccomp.formats.hooks import all_formats
from pytest_seccomp.linux.syscalls import all_names


def test_every_set_says_what_and_why_of_calls_that_exist() -> None:
    for base in bases.bases().values():
        assert base.description
        assert base.reasons.keys() <= all_names()
        assert all(base.reasons.values())


def test_a_set_holds_for_the_machine_and_has_its_reason() -> None:
    part = bases.find("crun").part({"x86_64", "i386"})
    assert part.origin.startswith("Base set crun: crun starts a program, ")
    reasons = {(call.arch, call.name): call.reason for call in part.calls}
    assert reasons["x86_64", "capset"] == "gives up capabilities"
    assert {call.arch for call in part.calls} == {"x86_64"}
    assert [call.number for call in part.calls] == sorted(call.number for call in part.calls)
    assert bases.find("crun-nnp").reasons.items() <= bases.find("crun").reasons.items()


def test_of_a_program_of_32_bits_the_machine_starts_it() -> None:
    assert {call.text for call in bases.find("exec").part({"i386"}).calls} == {"x86_64:execve"}


def test_what_the_kernel_has_programs_do_it_has_all_of_them_do() -> None:
    """Also x32, whose numbers are those of x86-64 with a bit; an architecture without a table has none."""
    part = bases.find(bases.END).part({"x86_64", "i386", "x32", "0x0000beef"})
    assert {call.text: call.number for call in part.calls} == {
        "x86_64:rt_sigreturn": 15,
        "x86_64:exit": 60,
        "x86_64:restart_syscall": 219,
        "x86_64:exit_group": 231,
        "i386:exit": 1,
        "i386:restart_syscall": 0,
        "i386:sigreturn": 119,
        "i386:rt_sigreturn": 173,
        "i386:exit_group": 252,
        "x32:exit": 0x40000000 + 60,
        "x32:restart_syscall": 0x40000000 + 219,
        "x32:exit_group": 0x40000000 + 231,
        "x32:rt_sigreturn": 0x40000000 + 513,
    }


def test_an_unknown_one_is_an_error_with_the_nearest() -> None:
    with pytest.raises(SeccompError, match=r"no base set is named 'runk': did you mean runc\?"):
        bases.find("runk")
    with pytest.raises(SeccompError, match="there are end, exec, runc-nnp, "):
        bases.find("qqq")


def test_formats_have_sets_that_exist() -> None:
    for format in all_formats().values():
        assert {*format.bases} <= bases.bases().keys()
