"""The policy that a user gives: by names, as a profile, as a trace."""

import json
from pathlib import Path

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux import architecture
from pytest_seccomp.profile.bpf import decoded, evaluate
from pytest_seccomp.profile.compiling import program
from pytest_seccomp.profile.given import Given, Source, given
from pytest_seccomp.profile.selection import Host

HOST = Host(architecture.X86_64, (6, 18), frozenset())
READ, OPENAT, PTRACE = 0, 257, 101
ALLOWED, DENIED, KILLED = 0x7FFF0000, 0x00050001, 0x80000000
PROFILE = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read", "statx"], "action": "SCMP_ACT_ALLOW"}]}


def of(policy: Source | None = None, **named: object) -> Given:
    found = given(policy, host=HOST, **{"allow": None, "deny": None, "action": None, **named})  # type: ignore[arg-type]
    assert found is not None
    return found


def verdicts(found: Given) -> list[int]:
    """What it says of read, openat, ptrace."""
    code = decoded(program(found.policy))
    arch = architecture.X86_64.audit_arch
    return [
        evaluate(code, number.to_bytes(4, "little") + arch.to_bytes(4, "little") + bytes(56))
        for number in (READ, OPENAT, PTRACE)
    ]


def test_names() -> None:
    assert verdicts(of(deny=["ptrace"])) == verdicts(of(deny=[PTRACE])) == [ALLOWED, ALLOWED, DENIED]
    assert verdicts(of(allow=["read", "@debug"], deny=["ptrace"])) == [ALLOWED, DENIED, DENIED]
    killing = of(allow=["read"], action="kill_process")
    assert verdicts(killing) == [ALLOWED, KILLED, KILLED]
    assert killing.words == 'allow=["read"], action="kill_process"'


def test_a_profile_in_a_file_or_not(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    for indent in (None, 2):
        path.write_text(json.dumps(PROFILE, indent=indent))
        assert verdicts(of(path)) == verdicts(of(str(path))) == [ALLOWED, DENIED, DENIED]
    assert verdicts(of({"ociVersion": "1.0.0", "linux": {"seccomp": PROFILE}})) == [ALLOWED, DENIED, DENIED]
    assert of(path).words == str(path)


def test_a_trace(tmp_path: Path) -> None:
    path = tmp_path / "out.ndjson"
    record = {"syscall": READ, "name": "read", "count": 3, "arch": "x86_64", "tests": 1, "collection": 0}
    path.write_text(json.dumps(record) + "\n")
    assert verdicts(of(path)) == [ALLOWED, DENIED, DENIED]
    assert verdicts(of(path, action="kill_process")) == [ALLOWED, KILLED, KILLED]
    path.write_text(json.dumps({**record, "complete": False}) + "\n")
    with pytest.raises(SeccompError, match="is incomplete"):
        of(path)
    assert verdicts(of(path, allow_incomplete=True)) == [ALLOWED, DENIED, DENIED]


def test_nothing_is_no_policy() -> None:
    assert given(None, allow=None, deny=None, action=None, host=HOST) is None


@pytest.mark.parametrize(
    ("policy", "named", "text"),
    [
        (None, {"action": "kill_process"}, "without calls that get it"),
        (PROFILE, {"deny": ["read"]}, "not both"),
        (PROFILE, {"action": "kill_process"}, "a profile says itself"),
        (None, {"deny": []}, "names no call"),
        (None, {"deny": [7.0]}, "7.0 is no name of a call"),
        (None, {"allow": 7}, "is no list"),
        (None, {"deny": ["read"], "action": 7}, "is no action"),
        (7, {}, "neither a path nor a profile"),
        ({"defaultAction": {1, 2}}, {}, "policy: no profile"),
        ({"defaultAction": "SCMP_ACT_ERRN"}, {}, "policy: defaultAction: .* did you mean SCMP_ACT_ERRNO"),
        ("/no/such/file", {}, "cannot read /no/such/file: No such file or directory"),
        ("/dev/null", {}, "is a device"),
    ],
    ids=str,
)
def test_what_is_no_policy(policy: Source | None, named: dict[str, object], text: str) -> None:
    with pytest.raises(SeccompError, match=text):
        of(policy, **named)
