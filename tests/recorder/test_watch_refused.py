"""Where the kernel's log cannot be read: what is missing, and what can be watched without it."""

from pathlib import Path

import pytest
from ordinary import as_ordinary_user
from watched import run

PROGRAM = """
    try:
        w = watch.start(settings(None))
    except BackendError as error:
        print(error.reason)
        print(error.remedy)
"""


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.mark.needs("mount")
def test_an_ordinary_user(spool: Path) -> None:
    before = as_ordinary_user(spool.parent, Path(__file__).parents[1] / "support")
    reason, remedy = run(PROGRAM, spool, watched=False, before=before)
    audit, kmsg = reason.split("; ")
    assert audit == (
        "the kernel's log cannot be read: audit: the kernel's audit messages are for those who have CAP_AUDIT_READ, "
        "which this process lacks"
    )
    assert kmsg.startswith("kmsg: /dev/kmsg")
    assert remedy.startswith("audit: run it as root, ")
    assert remedy.endswith("and --seccomp-trace shows the calls but not what becomes of them")


@pytest.mark.needs("audit", "mount")
def test_another_network_namespace_gets_no_record(spool: Path) -> None:
    program = PROGRAM.replace("settings(None)", 'settings(None, sources=("audit",))')
    program += "    print(len(os.listdir('/proc/self/fd')))\n"
    reason, _, descriptors = run(program, spool, watched=False, before=["unshare", "--net"])
    assert reason == (
        "the kernel's log cannot be read: audit: it can be opened, but no record of a call made now comes: this "
        "network namespace is not the initial one, a rule of auditctl excludes it, or seccomp does not log here"
    )
    assert descriptors == "4", "those of every process, and that of the folder which lists them"
    assert not spool.exists()


@pytest.mark.needs("audit", "kmsg", "mount")
def test_the_other_channel_is_taken_and_says_so(spool: Path) -> None:
    program = """
    while True:
        try:
            w = watch.start(settings(session.own_session()))
            break
        except BackendError as error:  # others have used up what the kernel prints in five seconds
            assert "kmsg: it can be opened, but no record of a call made now comes" in str(error), error
    print(w.source)
    print(w.notes[0].partition(": it can")[0])
    print(w.notes[1].partition(":")[0])
    """
    lines = run(program, spool, watched=False, before=["unshare", "--net"])
    assert lines == ["kmsg", "not by audit", "lossy by nature"]


@pytest.mark.needs("audit")
def test_under_a_filter_that_has_each_call_logged(spool: Path) -> None:
    """Reading the log would make more of it, without end."""
    program = """
    from pytest_seccomp.linux import seccomp
    own = session.own_session()
    seccomp.install(seccomp.verdict(seccomp.RET_LOG))
    try:
        watch.start(settings(own, sources=("audit",)))
    except BackendError as error:
        print(error.reason.partition(": it was")[0])
    """
    (reason,) = run(program, spool, watched=False)
    assert reason == (
        "the kernel's log cannot be read: audit: this process is under a filter itself that has each of its "
        "calls logged"
    )
