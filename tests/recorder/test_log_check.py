"""The self-check of the backends that read the kernel's log, where something stands in its way."""

import denying
import pytest
from child import output

from pytest_seccomp.linux import syscalls
from pytest_seccomp.linux.architecture import native

SOCKET = min(syscalls.numbers_of("socket", native().audit_arch))  # not x32's

CHECK = """
    import os, struct
    from pytest_seccomp.errors import BackendError
    from pytest_seccomp.linux import seccomp
    from pytest_seccomp.recorder import log_check
    from pytest_seccomp.recorder.backends import {backend} as backend
    {change}
    try:
        checked = backend.self_check()
        print("works", checked.log is not None)
        checked.close()
    except BackendError as error:
        print(error.reason)
    try:
        os.wait()
    except ChildProcessError:
        print("no child is left")
"""

UNKNOWN_CALLS_DENIED = (
    # BPF_JMP | BPF_JGE | BPF_K, SECCOMP_RET_ERRNO | EPERM: as the filters around containers do
    "seccomp.install(seccomp.load(seccomp.OFFSET_NUMBER) + struct.pack('=HBBI', 0x35, 0, 1, 0x10000000) + "
    "seccomp.verdict(0x50001) + seccomp.verdict(seccomp.RET_ALLOW))"
)


NO_AUDIT_SOCKET = (
    # As podman's default profile without CAP_AUDIT_WRITE
    f"import errno, sys; sys.path.append({denying.FOLDER!r}); import denying; "
    f"denying.install(denying.ERRNO | errno.EINVAL, {SOCKET})"
)


@pytest.mark.needs("audit")
def test_it_works_and_leaves_the_log_open_and_no_child() -> None:
    assert output(CHECK.format(backend="audit", change="")) == "works True\nno child is left\n"


@pytest.mark.needs("audit")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (UNKNOWN_CALLS_DENIED, "the records of a child's calls did not come within 2 s"),
        ("seccomp.RET_LOG = seccomp.RET_ALLOW", "the records of a child's calls did not come within 2 s"),
        ("seccomp.RET_LOG = 0x80000000", "a child did not survive the filter"),
        ("seccomp.SET_MODE_FILTER = 77", "seccomp(2) is refused here (Invalid argument)"),
        (
            NO_AUDIT_SOCKET,
            "a filter around this process refuses the socket of the kernel's audit messages (Invalid argument)",
        ),
    ],
    ids=["unknown calls denied", "nothing logged", "killed", "refused", "no socket"],
)
def test_it_says_what_is_wrong_and_leaves_nothing(change: str, reason: str) -> None:
    assert output(CHECK.format(backend="audit", change=change)) == f"{reason}\nno child is left\n"


@pytest.mark.needs("audit")
def test_one_call_that_is_not_logged_is_noticed() -> None:
    """The child, which has a copy of its parent's memory, makes one less."""
    change = (
        "made = log_check._make_known_calls\n"
        "    def fewer(*arguments, **settings):\n"
        "        log_check.CALLS -= 1\n"
        "        made(*arguments, **settings)\n"
        "    log_check._make_known_calls = fewer"
    )
    assert output(CHECK.format(backend="audit", change=change)) == (
        "of 50 calls of the self-check 49 were recorded\nno child is left\n"
    )
