"""Diagnoses: what a backend's self-check comes to, however it ends. In processes of their own, because it forks."""

import json
import os
from typing import Any

import pytest
from child import output
from running import until

from pytest_seccomp.linux import audit_control

PROGRAM = """
    import json, os, signal
    from dataclasses import asdict
    from pytest_seccomp.errors import BackendError
    from pytest_seccomp.recorder import backends, doctor
    from pytest_seccomp.recorder.backends import notify

    backends.NAMES = ("notify",)

    def self_check():
        {check}

    if {check!r} != "pass":
        notify.self_check = self_check
    found = doctor.check_backends()
    print(json.dumps([asdict(diagnosis) for diagnosis in found]))
    try:
        os.wait()
    except ChildProcessError:
        print("no child is left")
"""


def diagnosis(check: str = "pass") -> dict[str, Any]:
    """Of one backend, with this for its self-check."""
    found, left = output(PROGRAM.format(check=check)).splitlines()
    assert left == "no child is left"
    (only,) = json.loads(found)
    assert only["name"] == "notify"
    members: dict[str, Any] = only
    return members


@pytest.mark.needs("listener")
def test_notify_works_here() -> None:
    found = diagnosis()
    assert (found["works"], found["remedy"]) == (True, None)
    assert found["detail"] == "self-check passed: a child made 50 system calls, and exactly these 50 were recorded"


def test_a_failed_check_gives_reason_and_remedy() -> None:
    found = diagnosis('raise BackendError("the reason: r\\u00e9ason", "the remedy")')
    assert found == {
        "name": "notify",
        "works": False,
        "detail": "the reason: r\u00e9ason",
        "remedy": "the remedy",
        "notes": [],
    }


@pytest.mark.parametrize(
    ("check", "detail"),
    [
        ("os.kill(os.getpid(), signal.SIGSYS)", "the self-check was killed by signal 31"),
        ("os.kill(os.getpid(), signal.SIGALRM)", "the self-check did not end within 20 s"),
        ("os._exit(3)", "the self-check ended with status 3"),
        ("raise ZeroDivisionError", "the self-check ended with status 1"),
    ],
)
def test_a_check_that_does_not_come_to_its_end(check: str, detail: str) -> None:
    found = diagnosis(check)
    assert (found["works"], found["detail"]) == (False, detail)
    assert found["remedy"] == "look for a sandbox around this process"


def test_a_call_that_is_refused_is_named() -> None:
    found = diagnosis("raise PermissionError(1, 'Operation not permitted', 'fork')")
    assert (found["works"], found["detail"]) == (False, "fork() is refused here (Operation not permitted)")
    assert "in the profile of the container or sandbox" in found["remedy"]


@pytest.mark.needs("bpf", "listener", "audit", "kmsg")
def test_all_of_them_work_here() -> None:
    """kmsg where no auditd runs."""
    program = """
        import json
        from dataclasses import asdict
        from pytest_seccomp.recorder import doctor
        print(json.dumps([asdict(diagnosis) for diagnosis in doctor.check_backends()]))
    """

    def diagnoses() -> list[dict[str, Any]] | None:
        made: list[dict[str, Any]] = json.loads(output(program))
        return None if "but" in made[-1]["detail"] else made  # other tests' records are printed, too

    found = until("records that are printed", diagnoses)
    assert found is not None
    assert [diagnosis["name"] for diagnosis in found] == ["ebpf", "notify", "audit", "kmsg"]
    if audit_control.status().auditd:
        kmsg = found.pop()
        assert "auditd runs" in kmsg["detail"]
        assert "audit" in kmsg["remedy"]
    assert [(diagnosis["works"], diagnosis["remedy"]) for diagnosis in found] == [(True, None)] * len(found)
    assert "every call becomes a record" in found[2]["notes"][0]


@pytest.mark.needs("root")
def test_without_privilege_the_others_name_it() -> None:
    program = """
        import json, os
        from dataclasses import asdict
        from pytest_seccomp.recorder import backends, doctor
        for name in backends.NAMES:
            __import__(f"{backends.__name__}.{name}")
        os.setresuid(65534, 65534, 65534)
        print(json.dumps([asdict(diagnosis) for diagnosis in doctor.check_backends()]))
    """
    ebpf, _, audit, kmsg = json.loads(output(program))
    assert not ebpf["works"]
    assert "CAP_BPF" in ebpf["remedy"]
    assert not audit["works"]
    assert "CAP_AUDIT_READ" in audit["detail"]
    assert "as root" in audit["remedy"]
    if os.path.exists("/dev/kmsg"):
        # None is printed where auditd takes them, or where others have used up what is printed in five seconds
        reasons = ("CAP_SYSLOG", "no record of a child's calls was printed")
        assert kmsg["works"] or any(reason in kmsg["detail"] for reason in reasons)
    else:  # as in a container
        assert "no /dev/kmsg" in kmsg["detail"]
