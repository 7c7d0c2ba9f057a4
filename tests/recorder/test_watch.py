"""The watch of the kernel's log: exactly what is denied to a process and its descendants, however soon they end."""

from pathlib import Path
from textwrap import dedent

import logged
import pytest
from watched import run, spooled, started


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.mark.needs("audit")
def test_each_denial_comes_with_the_next_sync(spool: Path) -> None:
    """400 of 400, by children and by grandchildren that end at once, and nothing twice."""
    program = """
    wrong = []
    for number in range(200):
        for generation in (1, 2):
            pid, call = denying.child(generation=generation)
            seen = w.sync()
            if told(seen) != [(pid, call, "errno", 1)] or not seen.complete:
                wrong.append((pid, call, seen))
    print(wrong, w.sync())
    """
    assert run(program, spool) == ["[] Seen(denials=[], complete=True, reasons=[])"]


@pytest.mark.needs("audit")
@pytest.mark.parametrize("generation", [1, 2, 3])
@pytest.mark.parametrize(
    ("verdict", "action"),
    [
        (logged.ERRNO | 13, "errno"),
        (logged.TRAP, "trap"),
        (logged.TRACE, "trace"),
        (logged.USER_NOTIF, "user_notif"),
        (logged.KILL_THREAD, "kill_thread"),
        (logged.KILL_PROCESS, "kill_process"),
        (0x12345678, "0x12340000"),
    ],
)
def test_every_action_that_denies(spool: Path, verdict: int, action: str, generation: int) -> None:
    program = f"""
    pid, call = denying.child({verdict}, generation={generation})
    seen = w.sync()
    print(told(seen) == [(pid, call, {action!r}, 1)], seen.complete, seen.reasons)
    """
    assert run(program, spool) == ["True True []"]


@pytest.mark.needs("audit")
def test_a_call_that_is_logged_and_passes_is_no_denial(spool: Path) -> None:
    program = """
    denying.child(logged.LOG, times=5)
    print(w.sync())
    """
    assert run(program, spool) == ["Seen(denials=[], complete=True, reasons=[])"]


@pytest.mark.needs("audit")
def test_denials_that_are_alike_are_one(spool: Path) -> None:
    program = """
    first, call = denying.child(times=1000)
    second, _ = denying.child(times=2, number=call)
    third, _ = denying.child(logged.KILL_PROCESS, number=call)
    expected = [(first, call, "errno", 1000), (second, call, "errno", 2), (third, call, "kill_process", 1)]
    print(told(w.sync()) == expected)
    """
    assert run(program, spool) == ["True"]


@pytest.mark.needs("audit")
@pytest.mark.parametrize("name", ["curl", "a b", 'a" pid=1 c="', "fünf", "\x01\n", " ses=1"])
def test_names(spool: Path, name: str) -> None:
    program = f"""
    denying.child(name={name!r})
    one, = w.sync().denials
    print(one.comm == {name!r}, one.exe == os.path.realpath(sys.executable))
    """
    assert run(program, spool) == ["True True"]


@pytest.mark.needs("audit")
def test_a_name_that_is_no_utf_8(spool: Path) -> None:
    program = r"""
    pid = os.fork()
    if not pid:
        with open("/proc/self/comm", "wb") as file:
            file.write(b"\xff\xfe")
        denying.install(logged.ERRNO | 1, 0x20001234)
        denying.call(0x20001234)
        os._exit(0)
    os.wait()
    one, = w.sync().denials
    print(ascii(one.comm))
    """
    assert run(program, spool) == [r"'\udcff\udcfe'"]


@pytest.mark.needs("audit")
def test_what_the_process_itself_is_denied(spool: Path) -> None:
    program = """
    call = logged.new_number()
    denying.install(logged.ERRNO | 1, call)
    denying.call(call, 3)
    seen = w.sync()
    print(told(seen) == [(os.getpid(), call, "errno", 3)], seen.complete)
    """
    assert run(program, spool) == ["True True"]


@pytest.mark.needs("audit")
def test_programs_that_install_their_own_filter(spool: Path) -> None:
    """As the child of a child, with another executable."""
    number = logged.new_number()
    command = logged.by_a_grandchild(logged.command(logged.KILL_PROCESS, number=number, name="victim"))
    program = f"""
    import subprocess
    subprocess.run({command!r}, stderr=subprocess.DEVNULL)
    one, = w.sync().denials
    print(one.syscall, one.action, one.comm, one.pid != os.getpid())
    """
    assert run(program, spool) == [f"{number} kill_process victim True"]


@pytest.mark.needs("audit")
@pytest.mark.parametrize("told", [True, False], ids=["session", "no session"])
def test_what_was_denied_before(spool: Path, told: bool) -> None:
    """Also where the watch does not know of the session, which in both cases has nobody else in it."""
    program = f"""
    own = session.own_session()
    denying.child()
    w = watch.start(settings(own if {told} else None))
    print(w.sync())
    """
    assert run(program, spool, watched=False) == ["Seen(denials=[], complete=True, reasons=[])"]


@pytest.mark.needs("audit")
@pytest.mark.parametrize("own", ["session.own_session()", "None"])
def test_what_others_are_denied(spool: Path, own: str) -> None:
    program = f"""
    w = watch.start(settings({own}))
    pause()
    print(w.sync().denials)
    """
    with started(program, spool, watched=False) as made:
        made.wait()
        assert logged.run(logged.KILL_PROCESS).status == -31
        made.go_on()
        assert made.finish() == ["[]"]


@pytest.mark.needs("audit")
def test_two_at_a_time(spool: Path) -> None:
    """Neither sees the other's."""
    program = """
    pause()
    made = [denying.child(generation=2) for _ in range(50)]
    pause()
    seen = w.sync()
    print(told(seen) == [(pid, call, "errno", 1) for pid, call in made], seen.reasons, flush=True)
    """
    with started(program, spool) as one, started(program, spool.with_suffix(".other")) as other:
        for _ in range(2):
            for made in (one, other):
                made.wait()
            for made in (one, other):
                made.go_on()
        assert [made.finish() for made in (one, other)] == [["True []"]] * 2


@pytest.mark.needs("audit")
def test_a_session_of_its_own_inside(spool: Path) -> None:
    """What a descendant with another audit session is denied, as a login or a pytest that is watched itself, counts all
    the same; what its children are denied does from when it was seen."""
    program = """
    from pytest_seccomp.linux import audit_session
    pid = os.fork()
    if not pid:
        audit_session.begin()
        call = logged.new_number()
        denying.install(logged.ERRNO | 1, call)
        denying.call(call)
        os.kill(os.getpid(), signal.SIGSTOP)
        for _ in range(20):
            denying.child(logged.KILL_PROCESS)
        os._exit(0)
    os.waitpid(pid, os.WUNTRACED)
    seen = w.sync()
    print([one.pid == pid for one in seen.denials], seen.complete)
    os.kill(pid, signal.SIGCONT)
    os.waitpid(pid, 0)
    seen = w.sync()
    print({one.action for one in seen.denials}, len(seen.denials), seen.complete)
    """
    assert run(program, spool) == ["[True] True", "{'kill_process'} 20 True"]


@pytest.mark.needs("audit")
def test_many_different_denials_at_a_time(spool: Path) -> None:
    """More than a socket holds."""
    program = """
    for number in range(3):
        pid = os.fork()
        if not pid:
            denying.install(logged.ERRNO | 1, 0x20001234)
            with open("/proc/self/comm", "wb", buffering=0) as file:
                for n in range(3000):
                    file.write(b"%d" % n)
                    denying.call(0x20001234)
            os._exit(0)
        os.wait()
    seen = w.sync()
    print(len(seen.denials), seen.complete, {one.count for one in seen.denials})
    """
    assert run(program, spool) == ["9000 True {1}"]


@pytest.mark.needs("audit")
def test_a_hundred_thousand_in_four_processes(spool: Path) -> None:
    program = """
    call = logged.new_number()
    pids = []
    for _ in range(4):
        pids.append(os.fork())
        if not pids[-1]:
            denying.install(logged.ERRNO | 1, call)
            denying.call(call, 25_000)
            os._exit(0)
    for pid in pids:
        os.waitpid(pid, 0)
    seen = w.sync()
    print(sorted(told(seen)) == sorted((pid, call, "errno", 25_000) for pid in pids), seen.reasons)
    """
    assert run(program, spool) == ["True []"]


@pytest.mark.needs("audit")
def test_the_last_sync_drains(spool: Path) -> None:
    program = """
    pid, call = denying.child(times=3000)
    seen = w.finish()
    print(told(seen) == [(pid, call, "errno", 3000)], seen.complete, w.close_spool([]))
    """
    assert run(program, spool) == ["True True True"]
    assert spooled(spool)[1:] == [{"kind": "end", "complete": True, "reasons": []}]


KMSG = """
    def by_kmsg():
        while True:
            try:
                return watch.start(settings(session.own_session(), sources=("kmsg",)))
            except BackendError as error:  # others have used up what the kernel prints in five seconds
                assert "no record of a call made now comes" in str(error), error
"""


@pytest.mark.needs("kmsg", "audit")
def test_lines_that_look_like_records(spool: Path) -> None:
    """Written to the kernel's log by a process, whatever facility it asks for."""
    program = """
    w = by_kmsg()
    own = session.own_session()
    who = f"auid=0 uid=0 gid=0 ses={own} pid={os.getpid()} comm=\\"x\\" exe=\\"/x\\""
    what = "sig=0 arch=c000003e syscall=666 compat=0 ip=0x1 code=0x50000"
    line = f"audit: type=1326 audit({time.time():.3f}:1): {who} {what}"
    for prefix in ("", "<0>", "<5>"):
        with open("/dev/kmsg", "w") as file:
            file.write(prefix + line)
    print(w.source, [one.syscall for one in w.sync().denials])
    """
    assert run(dedent(KMSG) + dedent(program), spool, watched=False) == ["kmsg []"]


@pytest.mark.needs("kmsg", "audit")
def test_what_the_kernel_does_not_print(spool: Path) -> None:
    limit = Path("/proc/sys/kernel/printk_ratelimit")
    if limit.read_text() == "0\n":
        pytest.skip("the kernel prints everything here")
    program = """
    w = by_kmsg()
    denying.child(times=100)
    seen = w.sync()
    print(seen.complete, sum(one.count for one in seen.denials) < 100, bool(seen.reasons), w.notes[0].split(":")[0])
    w.finish()
    print(w.close_spool([]))
    """
    assert run(dedent(KMSG) + dedent(program), spool, watched=False) == ["False True True lossy by nature", "False"]
    *_, end = spooled(spool)
    assert end["complete"] is False
    assert end["reasons"]
