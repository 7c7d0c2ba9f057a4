"""The profile of the OCI's runtime specification, in the form that docker, podman and CRI-O read as well.

Names hold for all architectures of a profile, and one that an architecture does not have is passed over. The member
`comment` of an entry is docker's and containers/common's; runtimes pass over it.
Sources: the runtime specification of the OCI (config-linux.md, Seccomp), moby's profiles/seccomp, containers/common's
pkg/seccomp.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from pytest_seccomp.formats.format import Format, Written
from pytest_seccomp.formats.limits import check_byte_order, of_other_architectures, without_a_name
from pytest_seccomp.formats.profile import Profile
from pytest_seccomp.profile.architectures import PROFILE_NAMES

ALLOW = "SCMP_ACT_ALLOW"
ACTIONS = {
    "errno": "SCMP_ACT_ERRNO",
    "kill_process": "SCMP_ACT_KILL_PROCESS",
    "kill_thread": "SCMP_ACT_KILL_THREAD",
    "trap": "SCMP_ACT_TRAP",
    "log": "SCMP_ACT_LOG",
}
ARCHITECTURES = {name: profile_name for profile_name, name in PROFILE_NAMES.items()}
"""How profiles call an architecture, by our name."""


def _write(profile: Profile) -> Written:
    held = profile.only(ARCHITECTURES)
    check_byte_order(held)
    left_out = [
        *of_other_architectures(profile, ARCHITECTURES, "the format does not know their architecture"),
        *without_a_name(held),
    ]
    document: dict[str, Any] = {"defaultAction": ACTIONS[profile.default.name]}
    if profile.default.name == "errno":
        document["defaultErrnoRet"] = profile.default.data
    document["architectures"] = [ARCHITECTURES[arch] for arch in held.architectures]
    document["syscalls"] = entries(held, left_out)
    return as_json(document, left_out)


def entries(profile: Profile, left_out: Collection[str]) -> list[dict[str, Any]]:
    """An entry for each part, whose comment says what it is; that of the first also what is to be said of them all."""
    found: list[dict[str, Any]] = []
    for part, calls in profile.named():
        if calls:
            reasons = (f"{call.name}: {call.reason}." for call in calls if call.reason)
            comment = [*([] if found else profile.heading(left_out)), f"{part.origin}.", *reasons]
            found.append({"comment": " ".join(comment), "names": [call.name for call in calls], "action": ALLOW})
    return found


def as_json(document: Mapping[str, Any], left_out: Collection[str]) -> Written:
    """With each name in a line of its own, so that changes show as lines."""
    return Written((json.dumps(document, indent=2) + "\n").encode("ascii"), tuple(left_out))


FORMAT = Format(
    "oci",
    "docker, podman, localhost profiles of Kubernetes",
    _write,
    ("errno:EPERM", *ACTIONS),
    bases=("end", "runc", "crun"),
)
