"""Policies of labels: what they say of a call, and in the real kernel, what is denied while they hold."""

import errno
import struct

import pytest
from child import output

from pytest_seccomp.linux import seccomp
from pytest_seccomp.linux.architecture import X86_64, native
from pytest_seccomp.profile import compiling, in_process
from pytest_seccomp.recorder import labels, timers
from pytest_seccomp.recorder.policies import Decision, Policies

BASE = labels.FIRST_TEST
CALL = BASE + labels.CALL
SOCKET, GETPPID = 41, 110


def defined(*markers: dict[str, object]) -> Policies:
    """Policies with the numbers 0, 1, ..."""
    policies = Policies()
    for number, kwargs in enumerate(markers):
        policy = in_process.of_marker((), kwargs, X86_64, "t.py").policy(X86_64)
        policies.define(number, compiling.program(policy), tuple(in_process.calls(policy)))
    return policies


def data(number: int, *arguments: int) -> bytes:
    """struct seccomp_data"""
    return struct.pack("=IIQ6Q", number, X86_64.audit_arch, 0, *arguments, *[0] * (6 - len(arguments)))


def shown(decision: Decision | None) -> tuple[int, int] | None:
    return None if decision is None else (decision.policy, decision.verdict)


def test_a_label_without_a_policy_has_nothing_looked_at_but_the_marker_and_timers() -> None:
    ruling = defined({"deny": ["socket"]}).of(CALL)
    assert ruling.calls == {*timers.setting_calls(), native().audit_arch << 32 | native().munmap}
    assert ruling.decide(data(SOCKET)) is None


def test_a_policy_says_something_by_the_arguments() -> None:
    policies = defined({"deny": ["@internet"], "action": "errno:EACCES"})
    policies.put(CALL, (0,))
    ruling = policies.of(CALL)
    assert X86_64.audit_arch << 32 | SOCKET in ruling.calls
    assert shown(ruling.decide(data(SOCKET, 2))) == (0, 0x00050000 | errno.EACCES)
    assert ruling.decide(data(SOCKET, 1)) is None
    assert ruling.decide(data(GETPPID)) is None


def test_of_several_policies_the_strictest_decides_and_of_equal_ones_the_first() -> None:
    policies = defined(
        {"deny": ["socket"], "action": "log"},
        {"deny": ["socket", "getppid"], "action": "errno:EACCES"},
        {"deny": ["socket", "getppid"]},
    )
    policies.put(CALL, (0, 2, 1))
    assert shown(policies.of(CALL).decide(data(SOCKET))) == (2, 0x00050000 | errno.EPERM)
    policies.put(CALL, (1, 2))
    assert shown(policies.of(CALL).decide(data(GETPPID))) == (1, 0x00050000 | errno.EACCES)
    policies.put(CALL, (0,))
    assert shown(policies.of(CALL).decide(data(SOCKET))) == (0, seccomp.RET_LOG)
    assert policies.of(CALL).decide(data(GETPPID)) is None


def test_a_policy_ends_with_its_test() -> None:
    policies = defined({"deny": ["socket"]})
    policies.put(CALL, (0,))
    policies.note(CALL, Decision(0, 0x00050001), SOCKET, (1, b"a", None), (2,))
    policies.end(labels.next_base(BASE))
    assert policies.of(CALL).decide(data(SOCKET)) is not None
    policies.end(BASE)
    assert policies.of(CALL).decide(data(SOCKET)) is None
    assert policies.take(CALL) == ([], 0)


def test_denials_that_are_alike_are_one_with_the_arguments_of_the_first() -> None:
    policies = Policies()
    for process, arguments in ((7, (2, 1)), (7, (10, 1)), (8, (2, 2)), (7, (0, 0))):
        policies.note(CALL, Decision(3, 0x00050001), SOCKET, (process, b"curl", b"/bin/curl"), arguments)
    found = policies.take(CALL)
    assert found == (
        [
            (3, SOCKET, 0x00050001, 7, b"curl", b"/bin/curl", (2, 1), 3),
            (3, SOCKET, 0x00050001, 8, b"curl", b"/bin/curl", (2, 2), 1),
        ],
        0,
    )
    assert policies.take(CALL) == ([], 0)


def test_a_program_that_has_a_new_name_each_time_does_not_fill_the_memory() -> None:
    policies = Policies()
    for number in range(100_000):
        policies.note(CALL, Decision(0, 0x00050001), SOCKET, (number, b"x", b"y" * 1000), (2,))
    found, left_out = policies.take(CALL)
    assert len(found) + left_out == 100_000
    assert 0 < len(found) < 1000


START = """
    import errno, json, os, socket, sys, threading
    from pytest_seccomp.linux import raw
    from pytest_seccomp.linux.architecture import native
    from pytest_seccomp.profile import compiling, in_process
    from pytest_seccomp.recorder import client, labels, protocol
    from pytest_seccomp.recorder.backends import notify

    base = labels.FIRST_TEST
    getppid = raw.function()
    SOCKET, GETPPID = {"x86_64": (41, 110)}.get(native().name, (198, 173))

    def policy(**kwargs):
        return in_process.of_marker((), kwargs, native(), "t.py").policy(native())

    def start(*policies, selecting):
        settings = protocol.Settings("notify", notify.new_cookie(), os.getpid(), None, "null", None, True)
        connection = client.start(settings)
        program = compiling.program(in_process.together(policies))
        from pytest_seccomp.profile import bpf
        selected = bpf.encoded(bpf.supervised(bpf.decoded(program)))
        connection.attach(selected if selecting else None)
        for number, one in enumerate(policies):
            connection.send("policy", number, compiling.program(one), tuple(in_process.calls(one)))
        return connection

    def begin(connection, *numbers):
        connection.send("begin", base, '"t.py::a"', 0)
        connection.send("under", base + labels.CALL, numbers)
        connection.mark(base + labels.CALL, ring=True)

    def try_socket(family=socket.AF_INET):
        try:
            socket.socket(family).close()
            return "made"
        except OSError as error:
            return errno.errorcode[error.errno]
"""


@pytest.mark.needs("listener")
@pytest.mark.parametrize("selecting", [False, True], ids=["all calls notified", "only those of the policy"])
def test_what_is_denied_fails_and_is_told(selecting: bool) -> None:
    program = f"""
    connection = start(policy(deny=["@internet"], action="errno:ENETDOWN"), selecting={selecting})
    print(try_socket())
    begin(connection, 0)
    print(try_socket(), try_socket(socket.AF_UNIX), try_socket())
    connection.mark(labels.HARNESS)
    print(try_socket())
    (denial,), left_out = connection.request("denials", base + labels.CALL)
    policy, call, verdict, pid, comm, exe, arguments, count = denial
    assert (policy, call & 0xFFFFFFFF, call >> 32) == (0, SOCKET, native().audit_arch)
    assert verdict == 0x50000 | errno.ENETDOWN
    assert (pid, exe, arguments[0], count) == (os.getpid(), os.readlink(b"/proc/self/exe"), socket.AF_INET, 2)
    assert comm == open("/proc/self/comm", "rb").read().rstrip()
    assert connection.request("denials", base + labels.CALL) == ([], 0)
    connection.send("end", base, "null")
    connection.mark(base + labels.CALL, ring=True)
    print(try_socket())
    """
    assert output(START + program).split() == ["made", "ENETDOWN", "made", "ENETDOWN", "made", "made"]


@pytest.mark.needs("listener")
def test_threads_and_children_are_under_it_and_told_apart() -> None:
    program = """
    connection = start(policy(deny=["@internet"]), selecting=True)
    begin(connection, 0)
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, try_socket().encode())
        os._exit(0)
    os.waitpid(child, 0)
    thread = threading.Thread(target=lambda: print(try_socket()))
    thread.start()
    thread.join()
    connection.mark(labels.HARNESS)
    print(os.read(reading, 100).decode())
    found, _ = connection.request("denials", base + labels.CALL)
    assert [denial[3] for denial in found] == [child, os.getpid()]
    """
    assert output(START + program).split() == ["EPERM", "EPERM"]


@pytest.mark.needs("listener")
def test_a_call_that_is_only_logged_is_made_and_counted() -> None:
    program = """
    connection = start(policy(deny=["socket"], action="log"), policy(deny=["bind"]), selecting=True)
    connection.send("begin", base, '"t.py::a"', 0)
    connection.send("under", base + labels.CALL, (0, 1))
    connection.mark(base + labels.CALL, ring=True)
    connection.request("open", base)
    print(try_socket())
    counts, complete = connection.request("close", 1)
    connection.mark(labels.HARNESS)
    assert complete and {call & 0xFFFFFFFF: count for call, count in counts.items()} == {SOCKET: 1}
    (denial,), _ = connection.request("denials", base + labels.CALL)
    assert (denial[0], denial[2], denial[7]) == (0, 0x7FFC0000, 1)
    """
    assert output(START + program).split() == ["made"]


@pytest.mark.needs("listener")
def test_denied_calls_are_not_counted() -> None:
    program = """
    connection = start(policy(deny=["@internet", "getppid"]), selecting=False)
    begin(connection, 0)
    connection.request("open", base)
    try_socket()
    os.getppid()
    try_socket(socket.AF_UNIX)
    counts, complete = connection.request("close", 1)
    connection.mark(labels.HARNESS)
    counted = {call & 0xFFFFFFFF: count for call, count in counts.items()}
    assert complete and (counted[SOCKET], GETPPID in counted) == (1, False), counted
    print("done")
    """
    assert output(START + program) == "done\n"


@pytest.mark.needs("listener")
def test_more_denials_than_the_socket_holds() -> None:
    """The answer goes in pieces: the process that waits in its marker call cannot read meanwhile."""
    program = """
    from pathlib import Path
    connection = start(policy(deny=["@internet"]), selecting=True)
    begin(connection, 0)
    for number in range(3000):
        Path("/proc/self/comm").write_text(f"{number}")
        try_socket()
    for _ in range(20):
        connection.request("open", base)  # answers that come before
    found, left_out = connection.request("denials", base + labels.CALL)
    assert len(found) + left_out == 3000
    assert [denial[4] for denial in found] == [str(number).encode() for number in range(len(found))]
    print(len(found) > 400)
    """
    assert output(START + program) == "True\n"


@pytest.mark.needs("listener")
def test_what_is_left_behind_is_free_when_pytest_has_ended() -> None:
    program = """
    connection = start(policy(deny=["@internet"]), selecting=True)
    begin(connection, 0)
    reading, writing = os.pipe()
    if not os.fork():
        if not os.fork():
            while try_socket() != "made":
                pass
            os.write(1, b"made\\n")
        os._exit(0)
    os._exit(0)
    """
    assert output(START + program) == "made\n"
