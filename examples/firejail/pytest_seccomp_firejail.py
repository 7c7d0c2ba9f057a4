"""The profile format of firejail, as a package that adds it to `pytest-seccomp generate`.

Calls of the machine's own architecture, by name, or by number where there is no name. Source: firejail(1), seccomp.keep
and seccomp-error-action.
"""

from collections.abc import Iterable

from pytest_seccomp.formats import Allowed, Format, Profile, Written, hookimpl


def write(profile: Profile) -> Written:
    """Lines for a profile of firejail."""
    machines = profile.machines
    others = [call.text for call in profile.calls if call.arch not in machines]
    left_out = [f"Left out, for seccomp.keep is for the machine's own calls: {', '.join(others)}."] if others else []
    calls = [call for call in profile.calls if call.arch in machines]
    error = "kill" if profile.default.name == "kill_process" else str(profile.default).removeprefix("errno:")
    lines = [f"# {text}" for text in profile.heading(left_out)]
    lines += [f"# {part.origin}" for part in profile.parts if part.calls]
    lines += [f"seccomp-error-action {error}", f"seccomp.keep {','.join(sorted(map(_name, calls)))}"]
    return Written.from_lines(lines, left_out)


def _name(call: Allowed) -> str:
    return call.name or f"${call.number}"


@hookimpl
def seccomp_profile_formats() -> Iterable[Format]:
    """What this package adds."""
    return [
        Format(
            name="firejail",
            description="lines for a profile of firejail",
            write=write,
            actions=("errno:EPERM", "errno", "kill_process", "log"),
            bases=("end", "exec"),
        )
    ]
