"""The profile of nucleus, a container runtime written in Rust: a part of the OCI's.

It reads the names alone and has the filter kill whoever makes another call, whatever the profile says. It allows calls
of the machine's own architecture only, and passes over members that it does not know.
Source: its src/security/seccomp.rs and seccomp_generate.rs.
"""

from pytest_seccomp.formats.format import Format, Written
from pytest_seccomp.formats.limits import of_other_architectures, without_a_name
from pytest_seccomp.formats.oci import ACTIONS, ARCHITECTURES, as_json, entries
from pytest_seccomp.formats.profile import Profile


def _write(profile: Profile) -> Written:
    machines = [machine for machine in profile.machines if machine in ARCHITECTURES]
    held = profile.only(machines)
    left_out = [
        *of_other_architectures(profile, machines, "nucleus allows none but those of the machine itself"),
        *without_a_name(held),
    ]
    document = {
        "defaultAction": ACTIONS[profile.default.name],
        "architectures": [ARCHITECTURES[arch] for arch in held.architectures],
        "syscalls": entries(held, left_out),
    }
    return as_json(document, left_out)


FORMAT = Format("nucleus", "the container runtime nucleus", _write, ("kill_process",), bases=("end", "nucleus"))
