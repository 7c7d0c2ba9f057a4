"""A policy of minijail, as `minijail0 -S` reads it: `name: 1` for each call that is allowed.

Calls of one architecture, by their names; who makes another one is killed. Source: minijail0(5), syscall_filter.c.
"""

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.formats.format import Format, Written
from pytest_seccomp.formats.limits import of_other_architectures, without_a_name
from pytest_seccomp.formats.profile import Profile
from pytest_seccomp.trace.table import printable


def _write(profile: Profile) -> Written:
    machines = profile.machines
    if len(machines) > 1:
        raise SeccompError(
            f"a policy of minijail is for one machine, and there are calls of {', '.join(machines)}: "
            "generate one from the traces of each"
        )
    held = profile.only(machines)
    left_out = [
        *of_other_architectures(profile, machines, "minijail allows none but those of the machine itself"),
        *without_a_name(held),
    ]
    lines = [f"# {printable(text)}" for text in held.heading(left_out)]
    for part, calls in held.named():
        if calls:
            lines.append(f"# {printable(part.origin)}")
        for call in calls:
            lines += [f"# {call.reason}"] if call.reason else []
            lines.append(f"{call.name}: 1")
    return Written.from_lines(lines, left_out)


FORMAT = Format("minijail", "minijail0 -S", _write, ("kill_process",), bases=("end", "exec"))
