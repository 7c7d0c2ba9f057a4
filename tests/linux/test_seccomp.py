"""seccomp(2): the parts of filters, and the probe of flags, which must not install anything."""

import struct

import pytest
from child import output

from pytest_seccomp.linux import process, seccomp


@pytest.mark.parametrize(("index", "offsets"), [(0, (16, 20)), (4, (48, 52)), (5, (56, 60))])
def test_offsets_of_arguments(index: int, offsets: tuple[int, int]) -> None:
    assert seccomp.argument(index) == offsets


@pytest.mark.parametrize(
    ("instruction", "parts"),
    [
        (seccomp.load(48), (0x20, 0, 0, 48)),
        (seccomp.unless_equal(7, 9), (0x15, 0, 9, 7)),
        (seccomp.unless_equal(2**62 + 7, 0), (0x15, 0, 0, 7)),
        (seccomp.unless_equal(-1, 0), (0x15, 0, 0, 0xFFFFFFFF)),
        (seccomp.verdict(seccomp.RET_USER_NOTIF), (0x06, 0, 0, 0x7FC00000)),
    ],
)
def test_instructions_are_those_of_classic_bpf(instruction: bytes, parts: tuple[int, int, int, int]) -> None:
    assert struct.unpack("=HBBI", instruction) == parts


def test_a_program_knows_how_many_instructions_it_has() -> None:
    code = seccomp.load(0) + seccomp.verdict(seccomp.RET_ALLOW)
    assert seccomp.FilterProgram(code).length == 2


@pytest.mark.needs("listener")
def test_a_flag_is_probed_without_installing_anything() -> None:
    before = process.status_field("Seccomp"), process.status_field("Seccomp_filters")
    assert seccomp.flag_is_known(seccomp.FLAG_NEW_LISTENER)
    assert not seccomp.flag_is_known(1 << 30)
    assert (process.status_field("Seccomp"), process.status_field("Seccomp_filters")) == before


@pytest.mark.needs("listener")
@pytest.mark.parametrize("flag", [seccomp.FLAG_SPEC_ALLOW, seccomp.FLAG_WAIT_KILLABLE_RECV, 1 << 30])
def test_the_probe_says_what_an_installation_says(flag: int) -> None:
    program = """
        import ctypes, errno, sys
        from pytest_seccomp.linux import raw, seccomp
        from pytest_seccomp.linux.architecture import native
        flags = int(sys.argv[1]) | seccomp.FLAG_NEW_LISTENER
        allow = seccomp.FilterProgram(seccomp.verdict(seccomp.RET_ALLOW))
        print(seccomp.flag_is_known(int(sys.argv[1])))
        seccomp.set_no_new_privs()
        install = raw.function()
        number, mode = raw.Word(native().seccomp), raw.Word(seccomp.SET_MODE_FILTER)
        print(install(number, mode, raw.Word(flags), ctypes.byref(allow)) >= 0)
    """
    known, installed = output(program, flag).split()
    assert known == installed


def test_no_new_privs_is_set_for_good() -> None:
    program = """
        from pytest_seccomp.linux import process, seccomp
        seccomp.set_no_new_privs()
        print(process.status_field("NoNewPrivs"))
    """
    assert output(program) == "1\n"


def test_a_filter_without_a_listener() -> None:
    program = """
        import os, sys
        from pytest_seccomp.linux import raw, seccomp
        from pytest_seccomp.linux.architecture import native
        from pytest_seccomp.linux.process import CAP_SYS_ADMIN, has_capability
        denied = seccomp.load(seccomp.OFFSET_NUMBER) + seccomp.unless_equal(native().ptrace, 1)
        if not has_capability(CAP_SYS_ADMIN):
            seccomp.set_no_new_privs()
        seccomp.install(denied + seccomp.verdict(0x50000 | 77) + seccomp.verdict(seccomp.RET_ALLOW))
        try:
            raw.syscall("ptrace", native().ptrace, 2**31, 0, 0, 0)
        except OSError as error:
            print(error.errno)
    """
    assert output(program) == "77\n"
