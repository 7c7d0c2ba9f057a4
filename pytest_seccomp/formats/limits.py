"""What formats cannot say, in words."""

from collections.abc import Iterable

from pytest_seccomp.formats.profile import Allowed, Profile


def without_a_name(profile: Profile) -> list[str]:
    """That calls without a name are not in a profile that has but names."""
    return [f"Left out, for the format takes names alone: {_listed(profile.unnamed)}."] if profile.unnamed else []


def of_other_architectures(profile: Profile, architectures: Iterable[str], reason: str) -> list[str]:
    """That calls of other architectures are not in a profile, because of a reason."""
    left_out = [call for call in profile.calls if call.arch not in architectures]
    return [f"Left out, for {reason}: {_listed(left_out)}."] if left_out else []


def _listed(calls: Iterable[Allowed]) -> str:
    return ", ".join(call.text for call in calls)
