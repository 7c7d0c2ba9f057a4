"""The notify backend: its filter, run by a simulator of classic BPF; its errors; its self-check."""

import errno
import os
import struct

import denying
import pytest
from child import output

from pytest_seccomp.linux import architecture, marked, process, seccomp
from pytest_seccomp.linux.architecture import AARCH64, ARM, I386, RISCV64, X86_64, NativeArchitecture
from pytest_seccomp.linux.seccomp import RET_ALLOW, RET_USER_NOTIF
from pytest_seccomp.recorder.backends import notify

COOKIE = 0x2BCDEF01_9ABCDEF0
SENDMSG, RECVMSG, MUNMAP = X86_64.sendmsg, X86_64.recvmsg, X86_64.munmap


def verdict(program: bytes, audit_arch: int, number: int, fifth: int) -> int:
    """What a filter says to a call, given its fifth argument (linux/filter.h; struct seccomp_data, linux/seccomp.h)."""
    everywhere = 0xFFFFFFFF_FFFFFFFF
    data = struct.pack("=iIQ6Q", number, audit_arch, everywhere, *[everywhere] * 4, fifth, everywhere)
    loaded = place = 0
    while True:
        code, yes, no, constant = struct.unpack_from("=HBBI", program, place * 8)
        place += 1
        match code:
            case 0x20:  # BPF_LD | BPF_W | BPF_ABS
                (loaded,) = struct.unpack_from("=I", data, constant)
            case 0x15:  # BPF_JMP | BPF_JEQ | BPF_K
                place += yes if loaded == constant else no
            case 0x06:  # BPF_RET | BPF_K
                return int(constant)
            case _:
                raise ValueError(f"instruction {code:#x}")


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same filter on every machine that the tests run on."""
    monkeypatch.setattr(notify, "native", lambda: X86_64)


@pytest.mark.parametrize("number", [SENDMSG, RECVMSG])
def test_messages_with_the_cookie_are_let_through(number: int) -> None:
    assert verdict(notify.watching_filter(COOKIE), X86_64.audit_arch, number, COOKIE) == RET_ALLOW


@pytest.mark.parametrize("number", [MUNMAP, 0, 39, SENDMSG - 1, RECVMSG + 1, X86_64.seccomp, -1, 2**31 - 1])
def test_other_calls_with_the_cookie_are_notified(number: int) -> None:
    assert verdict(notify.watching_filter(COOKIE), X86_64.audit_arch, number, COOKIE) == RET_USER_NOTIF


@pytest.mark.parametrize("number", [SENDMSG, RECVMSG, MUNMAP, 0, 39, -1])
@pytest.mark.parametrize(
    "other",
    [0, COOKIE ^ 1, COOKIE ^ 1 << 31, COOKIE ^ 1 << 32, COOKIE ^ 1 << 63, COOKIE & 0xFFFFFFFF, COOKIE >> 32 << 32],
)
def test_calls_without_the_whole_cookie_are_notified(number: int, other: int) -> None:
    assert verdict(notify.watching_filter(COOKIE), X86_64.audit_arch, number, other) == RET_USER_NOTIF


@pytest.mark.parametrize("audit_arch", [I386.audit_arch, AARCH64.audit_arch, ARM.audit_arch, 0])
@pytest.mark.parametrize("number", [SENDMSG, RECVMSG, MUNMAP])
def test_other_architectures_are_notified(audit_arch: int, number: int) -> None:
    assert verdict(notify.watching_filter(COOKIE), audit_arch, number, COOKIE) == RET_USER_NOTIF


@pytest.mark.parametrize("number", [SENDMSG, RECVMSG])
def test_x32_is_notified(number: int) -> None:
    x32 = number | architecture.X32_BIT
    assert verdict(notify.watching_filter(COOKIE), X86_64.audit_arch, x32, COOKIE) == RET_USER_NOTIF


@pytest.mark.parametrize("native", [AARCH64, RISCV64], ids=lambda arch: arch.name)
def test_the_filter_is_that_of_the_machine(monkeypatch: pytest.MonkeyPatch, native: NativeArchitecture) -> None:
    monkeypatch.setattr(notify, "native", lambda: native)
    program = notify.watching_filter(COOKIE)
    assert verdict(program, native.audit_arch, native.sendmsg, COOKIE) == RET_ALLOW
    assert verdict(program, native.audit_arch, native.recvmsg, COOKIE) == RET_ALLOW
    assert verdict(program, native.audit_arch, native.munmap, COOKIE) == RET_USER_NOTIF
    assert verdict(program, X86_64.audit_arch, native.sendmsg, COOKIE) == RET_USER_NOTIF


OTHERS = seccomp.load(seccomp.OFFSET_NUMBER) + seccomp.unless_equal(39, 1) + seccomp.verdict(RET_USER_NOTIF)
OTHERS += seccomp.verdict(RET_ALLOW)
"""A filter that asks of one call."""


@pytest.mark.parametrize("number", [0, 39, SENDMSG, RECVMSG, MUNMAP])
@pytest.mark.parametrize("fifth", [0, COOKIE ^ 1, COOKIE ^ 1 << 32])
def test_selected_calls_are_notified(number: int, fifth: int) -> None:
    expected = RET_USER_NOTIF if number == 39 else RET_ALLOW
    assert verdict(notify.selecting_filter(COOKIE, OTHERS), X86_64.audit_arch, number, fifth) == expected


def test_among_selected_calls_are_markers_always_and_messages_never() -> None:
    everything = seccomp.verdict(RET_USER_NOTIF)
    assert verdict(notify.selecting_filter(COOKIE, OTHERS), X86_64.audit_arch, MUNMAP, COOKIE) == RET_USER_NOTIF
    for number in (SENDMSG, RECVMSG):
        assert verdict(notify.selecting_filter(COOKIE, everything), X86_64.audit_arch, number, COOKIE) == RET_ALLOW
        assert verdict(notify.selecting_filter(COOKIE, everything), I386.audit_arch, number, COOKIE) == RET_USER_NOTIF


def test_what_another_cookie_marks_can_be_let_pass() -> None:
    everything = seccomp.verdict(RET_USER_NOTIF)
    program = notify.selecting_filter(COOKIE, marked.passing(X86_64, COOKIE ^ 3, everything))
    for number in (SENDMSG, RECVMSG, MUNMAP):
        assert verdict(program, X86_64.audit_arch, number, COOKIE ^ 3) == RET_ALLOW
        assert verdict(program, X86_64.audit_arch, number, COOKIE ^ 7) == RET_USER_NOTIF
        assert verdict(program, I386.audit_arch, number, COOKIE ^ 3) == RET_USER_NOTIF
    assert verdict(program, X86_64.audit_arch, MUNMAP, COOKIE) == RET_USER_NOTIF
    assert verdict(program, X86_64.audit_arch, 39, COOKIE ^ 3) == RET_USER_NOTIF


@pytest.mark.parametrize("cookie", [0, 0xFFFFFFFF, 1 << 32, 2**62 - 1])
def test_any_cookie(cookie: int) -> None:
    program = notify.watching_filter(cookie)
    assert verdict(program, X86_64.audit_arch, SENDMSG, cookie) == RET_ALLOW
    assert verdict(program, X86_64.audit_arch, SENDMSG, cookie ^ 1) == RET_USER_NOTIF


def test_cookies_are_random_and_fit_into_62_bits() -> None:
    cookies = [notify.new_cookie() for _ in range(200)]
    assert len(set(cookies)) == 200
    assert 2**60 < max(cookies) < 2**62


@pytest.mark.parametrize(
    ("code", "reason", "remedy"),
    [
        (errno.EBUSY, "under another seccomp listener already", "--no-seccomp-trace switches the inner one off"),
        (errno.ENOSYS, "no seccomp user notification here (Function not implemented)", "needs Linux 5.5 or newer"),
        (errno.EINVAL, "no seccomp user notification here (Invalid argument)", "needs Linux 5.5 or newer"),
        (errno.EPERM, "seccomp(2) is refused here (Operation not permitted)", "allow the system call seccomp"),
        (errno.EACCES, "seccomp(2) is refused here (Permission denied)", "allow the system call seccomp"),
        (errno.ENOMEM, f"seccomp: {os.strerror(errno.ENOMEM)}", "needs Linux 5.5 or newer"),
    ],
)
def test_why_there_is_no_listener(code: int, reason: str, remedy: str) -> None:
    error = notify.explain(OSError(code, os.strerror(code), "seccomp"))
    assert reason in error.reason
    assert remedy in error.remedy
    assert "\n" not in str(error)


def test_an_error_without_the_name_of_its_call() -> None:
    assert notify.explain(OSError(errno.ENOMEM, "no memory")).reason == "seccomp: no memory"


@pytest.mark.parametrize("capable", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_notes(monkeypatch: pytest.MonkeyPatch, capable: bool, known: bool) -> None:
    monkeypatch.setattr(process, "has_capability", lambda number: capable)
    monkeypatch.setattr(seccomp, "flag_is_known", lambda flag: known)
    notes = " ".join(notify.notes())
    assert ("no_new_privs" in notes) is not capable
    assert ("before Linux 5.19" in notes) is not known


CHECK = """
    import os
    from pytest_seccomp.errors import BackendError
    from pytest_seccomp.linux import seccomp
    from pytest_seccomp.recorder.backends import notify
    {change}
    try:
        notify.self_check()
        print("works")
    except BackendError as error:
        print(error.reason)
    try:
        os.wait()
    except ChildProcessError:
        print("no child is left")
"""


NO_MEMORY = (
    f"import sys; sys.path.append({denying.FOLDER!r}); import denying; "
    f"denying.install(denying.ERRNO | {errno.EPERM}, {architecture.native().memfd_create})"
)
NO_SENDMSG = (
    f"notify._CHECK_SECONDS = 1; import sys; sys.path.append({denying.FOLDER!r}); import denying; "
    f"denying.install(denying.ERRNO | {errno.EPERM}, {architecture.native().sendmsg})"
)


@pytest.mark.needs("listener")
def test_the_self_check_works_and_leaves_nothing() -> None:
    assert output(CHECK.format(change="")) == "works\nno child is left\n"


@pytest.mark.needs("listener")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        # A filter that hides what it was made to show
        (
            "notify.watching_filter = lambda cookie: seccomp.verdict(seccomp.RET_ALLOW)",
            "of 50 calls of the self-check 0 were recorded",
        ),
        # A flag that no kernel has
        ("seccomp.FLAG_NEW_LISTENER |= 1 << 30", "no seccomp user notification here (Invalid argument)"),
        # SECCOMP_RET_KILL_PROCESS
        (
            "notify.watching_filter = lambda cookie: seccomp.verdict(0x80000000)",
            "a child under the filter was killed by signal 31",
        ),
        (NO_MEMORY, "memfd_create() is refused here (Operation not permitted)"),
        # The child cannot hand its listener over, and waits at its next call
        (
            NO_SENDMSG,
            "a child under the filter has not handed its listener over within 10 s",
        ),
    ],
    ids=["hidden", "refused", "killed", "no memory", "stuck"],
)
def test_the_self_check_says_what_is_wrong_and_leaves_nothing(change: str, reason: str) -> None:
    assert output(CHECK.format(change=change)) == f"{reason}\nno child is left\n"


@pytest.mark.needs("listener")
def test_under_another_listener_the_check_says_so() -> None:
    program = """
        import os, signal, socket
        from pytest_seccomp.errors import BackendError
        from pytest_seccomp.linux.marked import MarkedCalls
        from pytest_seccomp.linux.notification import Exchange, let_everything_pass
        from pytest_seccomp.recorder.backends import notify
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombie, which would hold the filter before Linux 6.11
        ours, theirs = socket.socketpair()
        cookie = notify.new_cookie()
        if not os.fork():
            notify.attach(MarkedCalls(cookie), cookie, theirs.fileno())
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                notify.self_check()
            except BackendError as error:
                print(error.reason.partition(" already")[0], flush=True)
            os._exit(0)
        theirs.close()
        let_everything_pass(notify.receive_listener(ours)[0][0], Exchange())
    """
    assert output(program) == "this process is under another seccomp listener\n"
