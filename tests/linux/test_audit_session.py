"""Audit session ids, each test in a process of its own, for there is no way back."""

import subprocess
import sys
from pathlib import Path

import pytest
from child import output

from pytest_seccomp.linux import audit_session

PACKAGES = audit_session.__file__.rpartition("/pytest_seccomp/")[0]


@pytest.mark.needs("audit")
def test_a_session_is_inherited_and_is_that_of_records() -> None:
    program = """
        import os, select, subprocess, sys
        from pathlib import Path
        from pytest_seccomp.linux import audit_session
        sys.path.append(sys.argv[1])
        import logged
        from pytest_seccomp.linux.audit_log import AuditLog
        before, ours = audit_session.current(), audit_session.begin()
        print(ours != before, audit_session.current() == ours)
        print(int(subprocess.run(["cat", "/proc/self/sessionid"], capture_output=True).stdout) == ours)
        print(int(Path("/proc/self/loginuid").read_text()) == os.getuid())
        log = AuditLog(logged.ROOM)
        number = logged.run().number
        poll, sessions = select.poll(), []
        poll.register(log.descriptor, select.POLLIN)
        while not sessions and poll.poll(60_000):  # a thread of the kernel brings them, when it gets to it
            records = [message.record for message in log.receive() if message.record]
            sessions += [record.process.session == ours for record in records if record.call.number == number]
        print(sessions)
    """
    support = __file__.replace("linux/test_audit_session.py", "support")
    assert output(program, support) == "True True\nTrue\nTrue\n[True]\n"


@pytest.mark.needs("audit")
def test_each_session_is_a_new_one() -> None:
    program = """
        from pytest_seccomp.linux import audit_session
        sessions = [audit_session.begin() for _ in range(3)]
        print(len(set(sessions)), audit_session.current() == sessions[-1])
    """
    assert output(program) == "3 True\n"


@pytest.mark.needs("audit")
def test_a_session_is_that_of_a_thread_and_its_children() -> None:
    program = """
        import subprocess, threading
        from pytest_seccomp.linux import audit_session

        def of_a_child():
            return int(subprocess.run(["cat", "/proc/self/sessionid"], capture_output=True).stdout)

        def begin_in_thread():
            theirs.append(audit_session.begin())
            print(audit_session.current() == of_a_child() == theirs[0])

        ours, theirs = audit_session.begin(), []
        thread = threading.Thread(target=begin_in_thread)
        thread.start()
        thread.join()
        print(audit_session.current() == of_a_child() == ours != theirs[0])
    """
    assert output(program) == "True\nTrue\n"


@pytest.mark.needs("audit")
def test_a_second_session_takes_a_capability() -> None:
    program = (
        "import sys; sys.path.append(sys.argv[1])\n"
        "from pytest_seccomp.linux import audit_session\n"
        "for _ in range(2):\n"
        "    try: audit_session.begin()\n"
        "    except PermissionError as error: refused = error.errno\n"
        "print(refused)"
    )
    without = ["setpriv", "--bounding-set=-audit_control", "--inh-caps=-audit_control"]
    done = subprocess.run([*without, sys.executable, "-I", "-c", program, PACKAGES], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("1\n", "")


@pytest.mark.needs("audit")
@pytest.mark.needs("user-namespace")
def test_a_user_who_has_no_number_in_the_namespace() -> None:
    """As far as that can be made here: os.getuid() is replaced. The login user id is that of the namespace's root."""
    program = (
        "import os, sys; sys.path.append(sys.argv[1]); os.getuid = lambda: 65533\n"
        "from pytest_seccomp.linux import audit_session\n"
        "print(audit_session.begin() == audit_session.current())\n"
        "print(open('/proc/self/loginuid').read())"
    )
    before = audit_session.current()
    if before is not None:
        pytest.skip("this process has a session already, which nobody in a user namespace may change")
    within = ["unshare", "--user", "--map-root-user", sys.executable, "-I", "-c", program, PACKAGES]
    done = subprocess.run(within, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True\n0\n", "")


@pytest.mark.parametrize(("text", "session"), [(b"4294967295", None), (b"0", 0), (b"77", 77)])
def test_the_current_session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: bytes, session: int | None) -> None:
    path = tmp_path / "sessionid"
    path.write_bytes(text)
    monkeypatch.setattr(audit_session, "_SESSIONID", str(path))
    assert audit_session.current() == session


def test_a_kernel_that_gives_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in (("_SESSIONID", "4294967295"), ("_LOGINUID", "")):
        path = tmp_path / name
        path.write_text(text)
        monkeypatch.setattr(audit_session, name, str(path))
    with pytest.raises(OSError, match="no session id"):
        audit_session.begin()
