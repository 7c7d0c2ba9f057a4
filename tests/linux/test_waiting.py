"""A call that waits for its answer: its fields, and what the kernel says of it."""

import struct

import pytest
from child import output

from pytest_seccomp.linux.waiting import WaitingCall

# One call is notified, getppid; what follows runs beside the thread that makes it
PROGRAM = """
    import ctypes, errno, fcntl, os, socket, threading
    from pytest_seccomp.linux import notification, process, seccomp
    from pytest_seccomp.linux.architecture import native
    from pytest_seccomp.linux.marked import MarkedCalls
    from pytest_seccomp.linux.waiting import WaitingCall

    ours, theirs = socket.socketpair()
    number = {"x86_64": 110}.get(native().name, 173)

    def run():
        asked = seccomp.load(0) + seccomp.unless_equal(number, 1) + seccomp.verdict(seccomp.RET_USER_NOTIF)
        filter = asked + seccomp.verdict(seccomp.RET_ALLOW)
        if not process.has_capability(process.CAP_SYS_ADMIN):
            seccomp.set_no_new_privs()
        MarkedCalls(1).install_and_hand_over(filter, seccomp.FLAG_NEW_LISTENER, theirs.fileno())
        # Not os.getppid: that keeps the GIL
        results.append(ctypes.CDLL(None).syscall(ctypes.c_long(number)))

    results = []
    thread = threading.Thread(target=run)
    thread.start()
    _, (listener,), _, _ = socket.recv_fds(ours, 1, 1)
    buffer = bytearray(80)
    fcntl.ioctl(listener, notification.RECV, buffer, True)
    call = WaitingCall(listener, buffer)
"""


def test_its_fields() -> None:
    """struct seccomp_notif: id, pid, flags, and struct seccomp_data: number, arch, instruction pointer, arguments."""
    given = struct.pack("=QIIiIQ6Q", 2**63, 4711, 0, -1, 0xC000003E, 0x7F0000001000, *range(1, 7))
    call = WaitingCall(9, given + b"more")
    assert (call.listener, call.id, call.tid, call.number) == (9, 2**63, 4711, 0xFFFFFFFF)
    assert (call.arch, call.pointer, call.arguments) == (0xC000003E, 0x7F0000001000, (1, 2, 3, 4, 5, 6))
    assert call.data == given[16:]


@pytest.mark.needs("listener")
def test_it_waits_until_it_has_its_answer() -> None:
    program = (
        PROGRAM
        + """
    print(call.tid == thread.native_id, call.number == number, call.arch == native().audit_arch)
    print(call.waits(), call.waits())
    call.answer(errno.EXDEV)
    print(call.waits())
    try:
        call.answer(errno.EXDEV)
    except FileNotFoundError as error:
        print("gone")
    thread.join()
    print(results)
    """
    )
    assert output(program) == "True True True\nTrue True\nFalse\ngone\n[-1]\n"


@pytest.mark.needs("listener")
def test_what_is_no_listener_is_an_error() -> None:
    program = (
        PROGRAM
        + """
    other = WaitingCall(1, buffer)
    for ask in (other.waits, lambda: other.answer(1)):
        try:
            ask()
        except OSError as error:
            print(error.errno in (errno.ENOTTY, errno.EINVAL))
    call.answer(errno.EXDEV)
    """
    )
    assert output(program) == "True\nTrue\n"
