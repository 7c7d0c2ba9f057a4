"""The custom resource SeccompProfile of the security-profiles-operator, for Kubernetes.

YAML, as far as it takes no library to write it: names of calls and constants need no quotes, a text in JSON is one in
YAML. The operator makes a profile of the OCI of it, in which it cannot say which error a call gets: it is EPERM.
Source: its api/seccompprofile/v1beta1/seccompprofile_types.go, which its version v1 has as well, as far as used here.
"""

import json
from collections.abc import Iterator

from pytest_seccomp.formats.format import Format, Written
from pytest_seccomp.formats.limits import check_byte_order, of_other_architectures, without_a_name
from pytest_seccomp.formats.oci import ACTIONS, ALLOW, ARCHITECTURES
from pytest_seccomp.formats.profile import Profile

_KNOWN = {
    "i386", "x86_64", "x32", "arm", "aarch64", "mips", "mips64", "mips64n32", "mipsel", "mipsel64", "mipsel64n32",
    "ppc", "ppc64", "ppc64le", "s390", "s390x", "parisc", "parisc64", "riscv64",
}  # fmt: skip


def _write(profile: Profile) -> Written:
    held = profile.only(_KNOWN)
    check_byte_order(held)
    left_out = [
        *of_other_architectures(profile, _KNOWN, "the operator does not know their architecture"),
        *without_a_name(held),
    ]
    return Written.from_lines(list(_lines(held, left_out)), left_out)


def _lines(profile: Profile, left_out: list[str]) -> Iterator[str]:
    described = " ".join([*profile.heading(left_out), *(f"{part.origin}." for part in profile.parts)])
    yield "apiVersion: security-profiles-operator.x-k8s.io/v1beta1"
    yield "kind: SeccompProfile"
    yield "metadata:"
    yield f"  name: {json.dumps(profile.name)}"
    yield "  annotations:"
    yield f"    description: {json.dumps(described)}"
    yield "spec:"
    yield f"  defaultAction: {ACTIONS[profile.default.name]}"
    yield "  architectures:"
    yield from (f"  - {ARCHITECTURES[arch]}" for arch in profile.architectures)
    yield "  syscalls:"
    for _, calls in profile.named():
        if calls:
            yield f"  - action: {ALLOW}"
            yield "    names:"
            yield from (f"    - {call.name}{f'  # {call.reason}' if call.reason else ''}" for call in calls)


FORMAT = Format(
    "kubernetes",
    "SeccompProfile of the security-profiles-operator",
    _write,
    ("errno:EPERM", *(name for name in ACTIONS if name != "errno")),
    bases=("end", "runc", "crun"),
)
