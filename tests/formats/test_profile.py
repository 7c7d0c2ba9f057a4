"""What a profile says, before it is written."""

from profiled import EPERM

from pytest_seccomp.formats.profile import Allowed, Part, Profile

READ, READ_32 = Allowed("x86_64", 0, "read"), Allowed("i386", 3, "read")
WRITE = Allowed("x86_64", 1, "write", "logs")
UNKNOWN = Allowed("x86_64", 4000, None)


def test_a_call_stays_in_the_first_part_that_has_it() -> None:
    parts = [Part("one", (READ,)), Part("two", (Allowed("x86_64", 0, "read", "why"), WRITE))]
    profile = Profile.of("app", EPERM, parts, ["a remark"])
    assert profile.parts == (Part("one", (READ,)), Part("two", (WRITE,)))
    assert profile.heading(["left out"]) == ["Made by pytest-seccomp generate.", "a remark", "left out"]


def test_names() -> None:
    """One that stands for the calls of two architectures is there once, by the first call that has it."""
    profile = Profile.of("app", EPERM, [Part("one", (READ_32, UNKNOWN)), Part("two", (READ, WRITE))])
    assert list(profile.named()) == [(profile.parts[0], [READ_32]), (profile.parts[1], [WRITE])]
    assert profile.unnamed == (UNKNOWN,)


def test_architectures() -> None:
    calls = (Allowed("aarch64", 63, "read"), Allowed("arm", 3, "read"), READ_32, UNKNOWN, Allowed("s390x", 3, "read"))
    profile = Profile.of("app", EPERM, [Part("one", calls)])
    assert profile.architectures == ("aarch64", "arm", "s390x", "x86_64", "i386")
    assert profile.machines == ("aarch64", "s390x", "x86_64")
    assert [call.text for call in profile.only({"i386", "x86_64"}).calls] == ["i386:read", "x86_64:4000"]
