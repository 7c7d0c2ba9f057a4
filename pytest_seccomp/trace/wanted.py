"""A system call as a user names it: on the command line, in a marker, in an ini file."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux import syscalls


def named(value: object) -> str | None:
    """The text that `Wanted.parse` takes, of what a user has written in Python: "openat", "257" or 257. None for what
    is neither a text nor a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None


@dataclass(slots=True, frozen=True)
class Wanted:
    """The call that a user means: by name or by number, of one architecture or of any."""

    text: str
    arch: str | None
    name: str | None
    number: int | None

    @classmethod
    def parse(cls, text: str) -> "Wanted":
        """From `openat`, `257`, `0x101`, `x86_64:257` or `i386:socketcall`, in small letters or capitals; SeccompError
        for an unknown `i386`. The name can be any text: see `check_known`."""
        arch, colon, call = text.lower().rpartition(":")
        if colon:
            try:
                syscalls.audit_arch_of(arch)
            except ValueError as error:
                raise SeccompError(f"{error}: name one as in x86_64:257, or leave it out") from None
        if re.fullmatch("-?[0-9]{1,10}", call):  # numbers have 32 bits
            return cls(text, arch or None, None, int(call))
        if re.fullmatch("0x[0-9a-f]{1,8}", call):
            return cls(text, arch or None, None, int(call, 16))
        return cls(text, arch or None, call, None)

    def is_met_by(self, arch: str, number: int, name: str | None) -> bool:
        """Whether it is that call."""
        if self.arch is not None and arch != self.arch:
            return False
        return name == self.name if self.number is None else number == self.number

    def check_known(self, others: Iterable[str] = ()) -> None:
        """SeccompError where there is no call of that name on any architecture nor among `others`: a misspelling, most
        likely."""
        if self.name is None:
            return
        known = syscalls.all_names().union(others)
        if self.name in known:
            return
        nearest = difflib.get_close_matches(self.name, sorted(known), n=3)
        remedy = (
            f"did you mean {' or '.join(nearest)}?" if nearest else "name it as the manual pages do, or by its number"
        )
        if re.fullmatch("-?[0-9]+|0x[0-9a-f]+", self.name):
            remedy = "numbers have 32 bits"
        shortened = self.name if len(self.name) <= 60 else f"{self.name[:60]}…"
        raise SeccompError(f"no system call is named {shortened!r}: {remedy}")
