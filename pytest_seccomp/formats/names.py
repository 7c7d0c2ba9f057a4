"""The names, one a line: for scripts, and for tools that take them on their command line.

What `pytest-seccomp why` takes: a call of 32-bit programs has its architecture before it, one without a name its
architecture and number. Where there are calls of several machines, all have theirs.
"""

from pytest_seccomp.formats.format import Format, Written
from pytest_seccomp.formats.oci import ACTIONS
from pytest_seccomp.formats.profile import Profile
from pytest_seccomp.trace.table import printable


def _write(profile: Profile) -> Written:
    only = profile.machines[0] if len(profile.machines) == 1 else None
    lines = [f"# {printable(text)}" for text in profile.heading()]
    for part in profile.parts:
        if part.calls:
            lines.append(f"# {printable(part.origin)}")
        for call in sorted(part.calls, key=lambda call: (call.arch != only, call.arch, call.name or "", call.number)):
            text = call.name if call.arch == only and call.name is not None else call.text
            lines.append(f"{text}  # {call.reason}" if call.reason else text)
    return Written.from_lines(lines, [])


FORMAT = Format("names", "one name a line, for scripts", _write, ("errno:EPERM", *ACTIONS))
