"""Profile formats, ours and those that packages add. What a package needs for that is in here."""

from pytest_seccomp.formats.format import Format, Written
from pytest_seccomp.formats.hooks import hookimpl
from pytest_seccomp.formats.profile import Allowed, Part, Profile

__all__ = ["Allowed", "Format", "Part", "Profile", "Written", "hookimpl"]
