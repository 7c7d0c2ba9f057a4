"""Whom a watch watches: targets besides pytest, and pytest itself without an audit session of its own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import denying
import pytest
from cgroups import made_cgroup
from watched import run, started

DENIED = f"""
import sys
sys.path.append({denying.FOLDER!r})
import denying, logged
from pytest_seccomp.linux import audit_session
audit_session.begin()
print("ready", flush=True)
for line in sys.stdin:
    if line == "child\\n":
        print(*denying.child(), flush=True)
"""


class Server:
    """A process that is no descendant of the one that watches, and that has a child denied a call on request. In a
    session of its own: of what others are denied it is known that it is not the child, which may be one of many."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", DENIED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self._line() == "ready\n"

    @property
    def pid(self) -> int:
        return self.process.pid

    def deny(self) -> int:
        """Returns the pid of the child."""
        assert self.process.stdin is not None
        self.process.stdin.write("child\n")
        return int(self._line().split()[0])

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.process.communicate()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.mark.needs("audit")
def test_a_target_is_added_and_removed(spool: Path, server: Server) -> None:
    """What its children are denied may be told as incomplete: they end before they can be looked up."""
    program = f"""
    def sees(pid):
        seen = w.sync()
        told = [str(one.pid) for one in seen.denials]
        return pid in told or any(f" {{pid}} " in reason for reason in seen.reasons)
    pid = pause()
    w.add({server.pid})
    print(sees(pid))
    pid = pause()
    w.remove({server.pid})
    print(sees(pid))
    print(sees(pause()))
    """
    with started(program, spool) as made:
        for _ in range(3):
            made.wait()
            made.go_on(str(server.deny()))
        assert made.finish() == ["False", "True", "False"]


@pytest.mark.needs("audit")
def test_a_target_itself(spool: Path) -> None:
    """A process that lives: its denial is told."""
    program = """
    w.add(int(pause()))
    pause()
    seen = w.sync()
    print([one.action for one in seen.denials])
    """
    living = "import sys; sys.path.append(sys.argv[1]); import denying, logged; number = logged.new_number(); "
    living += "denying.install(logged.ERRNO | 1, number); input(); denying.call(number); print(flush=True); input()"
    target = subprocess.Popen(
        [sys.executable, "-I", "-c", living, denying.FOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert target.stdin is not None
    assert target.stdout is not None
    with started(program, spool) as made:
        made.wait()
        made.go_on(str(target.pid))
        made.wait()
        target.stdin.write("\n")
        target.stdin.flush()
        target.stdout.readline()
        made.go_on()
        assert made.finish() == ["['errno']"]
    target.communicate("\n")


@pytest.mark.needs("audit", "cgroup")
def test_a_target_with_a_cgroup(spool: Path, server: Server) -> None:
    with made_cgroup() as group:
        program = f"""
        pause()
        w.add(os.getpid(), {str(group.folder)!r})
        pid = pause()
        seen = w.sync()
        told = [str(one.pid) for one in seen.denials]
        print(pid in told or any(f" {{pid}} " in reason for reason in seen.reasons))
        """
        with started(program, spool) as made:
            made.wait()
            group.enter(server.pid)
            made.go_on()
            made.wait()
            made.go_on(str(server.deny()))
            assert made.finish() == ["True"]
        server.process.communicate()


@pytest.mark.needs("audit")
def test_targets_that_are_not_there(spool: Path) -> None:
    program = """
    for arguments in ((2**31 - 1,), (os.getpid(), "/none/such")):
        try:
            w.add(*arguments)
        except RecorderError as error:
            print(error)
    w.remove(2**31 - 1)
    print(w.sync().complete)
    """
    assert run(program, spool) == [
        "no process 2147483647",
        "[Errno 2] no cgroup of version 2: '/none/such'",
        "True",
    ]


@pytest.mark.needs("audit")
def test_without_an_audit_session(spool: Path) -> None:
    """Children that live are told. Of one that ended before it could be looked up it is said that it may be ours:
    never that all is well."""
    program = """
    w = watch.start(settings(None))
    print(w.notes[-1].split(" (")[0])
    call = logged.new_number()
    denying.install(logged.ERRNO | 1, call)
    denying.call(call)
    print(told(w.sync()) == [(os.getpid(), call, "errno", 1)])
    ignored = 0
    for number in range(50):
        denying.child(generation=2)
        seen = w.sync()
        ignored += not seen.denials and seen.complete
    print(ignored)
    print(w.close_spool([]))
    """
    assert run(program, spool, watched=False)[:3] == ["pytest has no audit session of its own", "True", "0"]


@pytest.mark.needs("audit")
def test_of_a_child_that_was_not_looked_up_the_reason_is_told(spool: Path) -> None:
    program = """
    w = watch.start(settings(None))
    reason = ("a call was denied to process %d (a b), which ended before it could be seen whose it was: "
        "with CAP_AUDIT_CONTROL pytest has an audit session of its own, which tells")
    while True:
        pid = denying.child(generation=2, name="a b")[0]
        if reason % pid in w.sync().reasons:
            break
    print(True)
    """
    assert run(program, spool, watched=False) == ["True"]


@pytest.mark.needs("audit", "mount")
def test_in_another_pid_namespace(spool: Path) -> None:
    """The audit session tells what is ours there, too; a pid does not."""
    program = """
    own = session.own_session()
    try:
        watch.start(settings(None))
    except BackendError as error:
        print(error.reason.partition(":")[0])
    print(watch.start(settings(None, spool=None)).source)
    w = watch.start(settings(own))
    pid, call = denying.child(generation=2)
    seen = w.sync()
    print([(one.syscall == call, one.pid != pid) for one in seen.denials], seen.complete)
    try:
        w.add(os.getpid())
    except RecorderError as error:
        print(str(error).partition(":")[0])
    """
    before = ["unshare", "--pid", "--fork", "--mount-proc"]
    reason = "pids in the kernel's log are those of the initial pid namespace, and this process is in another one"
    assert run(program, spool, watched=False, before=before) == [reason, "audit", "[(True, True)] True", reason]
