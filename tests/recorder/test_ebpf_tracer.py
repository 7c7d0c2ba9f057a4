"""The programs of the `ebpf` backend in the kernel: what they count, what they lose and say so, and why they do not
load."""

import errno
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from child import output

from pytest_seccomp.errors import BackendError
from pytest_seccomp.linux import bpf, raw
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.linux.marked import MarkedCalls
from pytest_seccomp.linux.proc import INITIAL_PID_NAMESPACE
from pytest_seccomp.linux.syscalls import numbers_of
from pytest_seccomp.recorder import ebpf_programs, ebpf_tracer, labels
from pytest_seccomp.recorder.backends import ebpf
from pytest_seccomp.recorder.ebpf_counts import SlotCounts
from pytest_seccomp.recorder.ebpf_tracer import Tracer, share

COOKIE = secrets.randbits(61)
"""Of this process: the programs that other tests have loaded at the same time see its calls, too."""

SLOT, LABEL = 3, labels.FIRST_TEST + 1

UNKNOWN = 0x2000
"""From here on: numbers that no call has."""


@pytest.fixture
def tracer() -> Iterator[Tracer]:
    made = Tracer.load()
    made.follow(COOKIE, SLOT)
    yield made
    made.close()


def followed(work: Callable[[], object]) -> None:
    """Do something in a child that is followed, as calls of the label."""
    calls = MarkedCalls(COOKIE)
    pid = os.fork()
    if not pid:
        try:
            calls.mark(LABEL, ebpf_programs.bank_of(LABEL))
            work()
            calls.mark(labels.HARNESS, ebpf_programs.bank_of(labels.HARNESS))
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def unknown_calls(numbers: int, times: int) -> None:
    call = raw.function()
    for number in range(numbers):
        for _ in range(times):
            call(raw.Word(UNKNOWN + number))


def counts_of(tracer: Tracer) -> tuple[SlotCounts, dict[int, int]]:
    """What was counted for the label, by number, of this architecture."""
    counted = SlotCounts(tracer, SLOT, native().audit_arch)
    counts: dict[int, int] = {}
    counted.take(LABEL, counts)
    return counted, {call & 0xFFFFFFFF: count for call, count in counts.items()}


@pytest.mark.needs("bpf")
def test_what_is_counted_is_taken_once(tracer: Tracer) -> None:
    followed(lambda: unknown_calls(3, 5))
    counted, counts = counts_of(tracer)
    assert {number: counts.get(number) for number in range(UNKNOWN, UNKNOWN + 4)} == {
        UNKNOWN: 5, UNKNOWN + 1: 5, UNKNOWN + 2: 5, UNKNOWN + 3: None,
    }  # fmt: skip
    assert (counted.lost, counted.unfollowed, counted.markers()) == (0, 0, 2)
    again: dict[int, int] = {}
    counted.take(LABEL, again)
    assert again == {}
    followed(lambda: unknown_calls(1, 2))
    counted.take(LABEL, again)
    assert again[native().audit_arch << 32 | UNKNOWN] == 2


@pytest.mark.needs("bpf")
def test_who_has_made_the_first_of_the_calls_that_are_watched(tracer: Tracer) -> None:
    """Common calls and rare ones, each once until it is asked."""
    native_arch = native().audit_arch << 32
    getsid, getpgid = (numbers_of(name, native().audit_arch)[0] for name in ("getsid", "getpgid"))
    counted = SlotCounts(tracer, SLOT, native().audit_arch)

    def work() -> None:
        os.getsid(0)
        if not os.fork():
            Path("/proc/self/comm").write_text("another")
            os.getsid(0)
            os.getpgid(0)
            unknown_calls(1, 2)
            os._exit(0)
        os.wait()

    followed(work)
    assert counted.caller(LABEL, native_arch | getsid) is None
    counted.watch({native_arch | number for number in range(508)} - {native_arch | getsid, native_arch | getpgid})
    read, write = os.pipe()

    def work_and_say_who() -> None:
        os.write(write, str(os.getpid()).encode())
        work()

    followed(work_and_say_who)
    made = int(os.read(read, 20))
    os.close(read)
    os.close(write)
    asked = [native_arch | number for number in (getsid, getpgid, UNKNOWN, UNKNOWN + 1)]
    found = {call: counted.caller(LABEL, call) for call in asked}
    names = [None if whose is None else whose[1] for whose in found.values()]
    assert names == [Path("/proc/self/comm").read_bytes().rstrip(b"\n"), b"another", b"another", None]
    if os.stat("/proc/self/ns/pid").st_ino == INITIAL_PID_NAMESPACE:
        assert found[native_arch | getsid] == (made, names[0], None)
    assert not any(counted.caller(LABEL, call) for call in asked)
    followed(work)
    counted.forget_callers([LABEL])
    assert not any(counted.caller(LABEL, call) for call in asked)


@pytest.mark.needs("bpf")
def test_who_has_ended_is_forgotten(tracer: Tracer) -> None:
    def work() -> None:
        for _ in range(50):
            if not os.fork():
                os._exit(0)
            os.wait()

    followed(work)
    assert tracer.maps.tasks.keys() == []


@pytest.mark.needs("bpf")
def test_nobody_else_is_followed(tracer: Tracer) -> None:
    calls = MarkedCalls(COOKIE + 1)
    calls.mark(0, 0)
    unknown_calls(3, 3)
    assert counts_of(tracer)[1] == {}
    assert tracer.maps.tasks.keys() == []


@pytest.mark.needs("bpf")
def test_a_marker_of_a_bank_that_is_not_there_changes_nothing(tracer: Tracer) -> None:
    def work() -> None:
        for bank in (ebpf_programs.BANKS, 2**32, 2**63):
            MarkedCalls(COOKIE).mark(LABEL, bank)
        unknown_calls(1, 7)

    followed(work)
    assert counts_of(tracer)[1][UNKNOWN] == 7


@pytest.mark.needs("bpf")
def test_messages_with_the_cookie_do_not_count_and_others_do(tracer: Tracer) -> None:
    def work() -> None:
        with pytest.raises(OSError, match="sendmsg"):
            MarkedCalls(COOKIE).send(2**31 - 1, b"a")
        for _ in range(3):
            with pytest.raises(OSError, match="sendmsg"):
                MarkedCalls(COOKIE + 1).send(2**31 - 1, b"a")

    followed(work)
    assert counts_of(tracer)[1][native().sendmsg] == 3


@pytest.mark.needs("bpf")
def test_the_processes_of_a_run_share_until_all_slots_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ebpf_programs, "SLOTS", 4)
    first, second = Tracer.load(), Tracer.load()
    got = [share(str(tmp_path), first, 1)]
    for _ in range(4):
        got.append(share(str(tmp_path), second, 1))
    ids = [tracer.ids() for tracer, _ in got]
    assert ids == [first.ids()] * 3 + [second.ids()] * 2
    assert [slot for _, slot in got] == [1, 2, 3, 1, 2]
    for tracer in {id(tracer): tracer for tracer in (first, second, *(tracer for tracer, _ in got))}.values():
        tracer.close()


@pytest.mark.needs("bpf")
@pytest.mark.parametrize("content", [b"", b"\xff", b"\xe9"], ids=["empty", "torn", "another"])
def test_a_file_that_says_nothing(tmp_path: Path, tracer: Tracer, content: bytes) -> None:
    (tmp_path / "ebpf").write_bytes(content)
    assert share(str(tmp_path), tracer, 1) == (tracer, 1)


@pytest.mark.needs("bpf")
def test_programs_that_are_gone_are_not_shared(tmp_path: Path, tracer: Tracer) -> None:
    gone = Tracer.load()
    share(str(tmp_path), gone, 1)
    gone.close()
    assert share(str(tmp_path), tracer, 1) == (tracer, 1)
    assert share(str(tmp_path / "removed"), tracer, 7) == (tracer, 7)


@pytest.mark.needs("bpf")
def test_more_numbers_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ebpf_programs, "_RARE", 8)
    tracer = Tracer.load()
    tracer.follow(COOKIE, SLOT)
    followed(lambda: unknown_calls(20, 3))
    counted, counts = counts_of(tracer)
    tracer.close()
    unknown = {number: count for number, count in counts.items() if number >= UNKNOWN}
    assert set(unknown.values()) == {3}
    assert len(unknown) == 8
    assert counted.lost == 12 * 3


@pytest.mark.needs("bpf")
def test_more_threads_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ebpf_programs, "_TASKS", 2)

    def work() -> None:
        ended, alive = os.pipe()
        for _ in range(4):
            if not os.fork():
                os.close(alive)
                os.read(ended, 1)
                os._exit(0)
        os.close(alive)
        for _ in range(4):
            os.wait()

    tracer = Tracer.load()
    tracer.follow(COOKIE, SLOT)
    followed(work)
    counted, _ = counts_of(tracer)
    tracer.close()
    assert counted.unfollowed == 3


@pytest.mark.needs("bpf")
def test_the_self_check_works_and_leaves_nothing() -> None:
    program = """
        import os
        from pytest_seccomp.recorder.backends import ebpf
        before = sorted(os.listdir("/proc/self/fd"))
        checked = ebpf.self_check()
        print(checked.notes)
        checked.close()
        print(sorted(os.listdir("/proc/self/fd")) == before)
        try:
            os.wait()
        except ChildProcessError:
            print("no child is left")
    """
    assert output(program) == "[]\nTrue\nno child is left\n"


@pytest.mark.needs("bpf")
def test_the_self_check_says_that_too_little_was_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ebpf_programs, "at_fork", ebpf_programs.at_exit)
    with pytest.raises(BackendError, match="of 50 calls of the self-check 0 were counted"):
        ebpf.self_check()


@pytest.mark.needs("root")
def test_without_the_right_the_self_check_says_so() -> None:
    program = """
        import os
        from pytest_seccomp.errors import BackendError
        from pytest_seccomp.recorder.backends import ebpf
        os.setuid(65534)
        try:
            ebpf.self_check()
        except BackendError as error:
            print(error.reason)
            print(error.remedy)
    """
    reason, remedy = output(program).splitlines()
    assert reason == "bpf(2) is refused here (Operation not permitted)"
    assert "CAP_BPF and CAP_PERFMON" in remedy


LOCKED_DOWN = """0: R1=ctx() R10=fp0
12: (85) call bpf_probe_read_kernel#113
program of this type cannot use helper bpf_probe_read_kernel#113
processed 13 insns (limit 1000000)"""


@pytest.mark.parametrize(
    ("error", "reason", "remedy"),
    [
        (bpf.VerifierError(errno.EINVAL, LOCKED_DOWN), "cannot use helper bpf_probe_read_kernel#113", "no lockdown"),
        (bpf.VerifierError(errno.EACCES, "R2 !read_ok"), "(Permission denied): R2 !read_ok", "Linux 5.5"),
        (bpf.VerifierError(errno.EINVAL, ""), "(Invalid argument): without a reason", "Linux 5.5"),
        (OSError(errno.EPERM, "no"), "bpf(2) is refused here (Operation not permitted)", "CAP_BPF and CAP_PERFMON"),
        (OSError(errno.EACCES, "no"), "bpf(2) is refused here (Permission denied)", "CAP_BPF and CAP_PERFMON"),
        (OSError(errno.EPERM, "no", "mmap"), "mmap() is refused here (no)", "the container or sandbox"),
        (OSError(errno.ENOENT, "no"), "this kernel has no tracepoint sys_enter", "CONFIG_FTRACE_SYSCALLS"),
        (OSError(errno.ENOSYS, "no"), "bpf(2) does not work here (Function not implemented)", "CONFIG_BPF_SYSCALL"),
    ],
)
def test_why_the_programs_do_not_load(error: OSError, reason: str, remedy: str) -> None:
    explained = ebpf_tracer.explain(error, "sys_enter")
    assert reason in explained.reason
    assert remedy in explained.remedy
    assert "\n" not in str(explained)


@pytest.mark.needs("bpf")
def test_a_kernel_without_a_tracepoint_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ebpf_tracer, "_TRACEPOINTS", ("sched_process_exit", "sched_process_fork", "no_such_thing"))
    with pytest.raises(BackendError, match="this kernel has no tracepoint no_such_thing"):
        Tracer.load()


def test_memory_that_may_not_be_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(*_: object) -> None:
        asked.append(1)
        raise PermissionError(errno.EPERM, "no", "bpf")

    monkeypatch.setattr(ebpf_programs, "Maps", refuse)
    monkeypatch.setattr("resource.setrlimit", lambda *_: None)
    with pytest.raises(BackendError, match=r"bpf\(2\) is refused here"):
        Tracer.load()
    assert len(asked) == 2
