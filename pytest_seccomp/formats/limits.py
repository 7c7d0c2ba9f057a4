"""What formats cannot say, in words."""

from collections.abc import Iterable

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.formats.profile import Allowed, Profile
from pytest_seccomp.linux import syscalls

_LITTLE_ENDIAN = 0x40000000
"""The bit of AUDIT_ARCH_* numbers that says so (include/uapi/linux/audit.h)."""


def without_a_name(profile: Profile) -> list[str]:
    """That calls without a name are not in a profile that has but names."""
    return [f"Left out, for the format takes names alone: {_listed(profile.unnamed)}."] if profile.unnamed else []


def of_other_architectures(profile: Profile, architectures: Iterable[str], reason: str) -> list[str]:
    """That calls of other architectures are not in a profile, because of a reason."""
    left_out = [call for call in profile.calls if call.arch not in architectures]
    return [f"Left out, for {reason}: {_listed(left_out)}."] if left_out else []


def check_byte_order(profile: Profile) -> None:
    """SeccompError where there are architectures of both byte orders: libseccomp makes no filter for them together
    (seccomp_arch_add(3), EDOM), so that no container would start."""
    little = [arch for arch in profile.architectures if syscalls.audit_arch_of(arch) & _LITTLE_ENDIAN]
    big = [arch for arch in profile.architectures if arch not in little]
    if little and big:
        raise SeccompError(
            f"container runtimes take no profile for both {little[0]} and {big[0]}, whose byte orders differ: "
            "generate one for each"
        )


def _listed(calls: Iterable[Allowed]) -> str:
    return ", ".join(call.text for call in calls)
