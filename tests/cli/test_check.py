"""`check`: what of a trace is outside a profile, and what of the profile nobody made."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Command, Trace

ProfileOf = Callable[..., Path]


@pytest.fixture
def profile(tmp_path: Path) -> ProfileOf:
    """Write a profile that allows some calls and no other."""

    def write(*names: str) -> Path:
        path = tmp_path / "profile.json"
        entry = {"names": names, "action": "SCMP_ACT_ALLOW"}
        architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
        members = {"defaultAction": "SCMP_ACT_ERRNO", "architectures": architectures, "syscalls": [entry]}
        path.write_text(json.dumps(members))
        return path

    return write


def test_what_is_outside_is_named_with_who_makes_it(command: Command, trace: Trace, profile: ProfileOf) -> None:
    """`exit` of i386 is allowed to that as well; what only the harness made, `write`, is no matter."""
    allowed = profile("read", "exit", "splice")
    result = command("check", trace(), allowed)
    assert (result.status, result.err) == (1, "")
    assert result.out.splitlines()[2:] == [
        "",
        f"1 call outside {allowed}",
        "count  tests      system call  made by",
        "1,000      1  getpid (x86_64)  t.py::copy",
    ]


def test_what_nobody_made_fails_nothing(command: Command, trace: Trace, profile: ProfileOf) -> None:
    allowed = profile("read", "exit", "getpid", "splice", "tee")
    result = command("check", "--unused", trace(), allowed)
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines()[2:] == [
        "",
        f"{allowed} allows all of it",
        "",
        "2 calls allowed and made by nobody:",
        "splice, tee",
    ]


def test_json(command: Command, trace: Trace, profile: ProfileOf) -> None:
    members = json.loads(command("check", "--json", trace(), profile("read", "exit", "no_such_call")).out)
    (outside,) = members["outside"]
    assert (outside["name"], outside["count"], outside["made_by"]) == ("getpid", 1000, ["t.py::copy"])
    assert (members["complete"], members["unused"]) == (True, None)
    (warning,) = members["warnings"]
    assert "no_such_call" in warning
    members = json.loads(command("check", "--json", "--unused", trace(), profile("read", "exit", "getpid")).out)
    assert (members["outside"], members["unused"]) == ([], [])


def test_a_warning_names_the_file_once(command: Command, trace: Trace, profile: ProfileOf) -> None:
    allowed = profile("read", "exit", "getpid", "no_such_call")
    (warning,) = [line for line in command("check", trace(), allowed).out.splitlines() if line.startswith("warning: ")]
    assert warning.startswith(f"warning: {allowed}: syscalls[0].names[3]: no system call is named")


def test_a_trace_is_a_profile_too(command: Command, trace: Trace) -> None:
    assert command("check", trace(), trace("other")).status == 0


def test_an_incomplete_trace_only_where_that_is_asked_for(command: Command, trace: Trace, profile: ProfileOf) -> None:
    incomplete, allowed = trace(complete=False), profile("read", "exit", "getpid")
    refused = command("check", incomplete, allowed)
    assert (refused.status, refused.out) == (2, "")
    assert "is incomplete (gw0: the recorder was killed): trace again, or" in refused.err
    assert command("check", "--allow-incomplete", incomplete, allowed).status == 0
    assert command("check", trace("whole"), incomplete).status == 2
    assert command("check", trace("whole"), "/gone.json").err.startswith("pytest-seccomp: error: ")
