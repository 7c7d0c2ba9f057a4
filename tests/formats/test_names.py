"""Names, one a line."""

from profiled import EPERM, profile

from pytest_seccomp.formats import bases
from pytest_seccomp.formats.names import FORMAT
from pytest_seccomp.formats.profile import Profile


def test_lines() -> None:
    """As `pytest-seccomp why` takes them, with the reason of each call that no trace has."""
    traced = profile(("x86_64", 59), ("x86_64", 4000), ("i386", 102), remarks=("A remark.",))
    exits = bases.find("exec").part({"x86_64"})
    last = bases.find("end").part({"x86_64"})
    made = FORMAT.write(Profile.of("app", EPERM, [*traced.parts, exits, last], traced.remarks))
    assert made.left_out == ()
    assert made.data.decode() == (
        "# Made by pytest-seccomp generate.\n"
        "# A remark.\n"
        "# Called in out.ndjson\n"
        "x86_64:4000\n"
        "execve\n"
        "i386:socketcall\n"
        "# Base set end: what the kernel and the C library have a program do that it does not ask for\n"
        "exit  # ends the program or a thread\n"
        "exit_group  # ends the program or a thread\n"
        "restart_syscall  # goes on after a stop, as after SIGSTOP and SIGCONT\n"
        "rt_sigreturn  # comes back from the handler of a signal\n"
    )


def test_with_calls_of_several_machines_all_have_their_architecture() -> None:
    made = FORMAT.write(profile(("x86_64", 0), ("aarch64", 63)))
    assert made.data.decode().splitlines()[2:] == ["aarch64:read", "x86_64:read"]
