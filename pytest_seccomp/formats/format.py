"""A profile format: a name, and a function that writes a profile in it."""

from collections.abc import Callable
from dataclasses import dataclass

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.formats.profile import Profile
from pytest_seccomp.profile.actions import Action


@dataclass(slots=True, frozen=True)
class Written:
    """A profile in some format."""

    data: bytes
    left_out: tuple[str, ...] = ()
    """What the format could not say, a line each; it should stand in `data` as well, where that can hold a comment."""

    @classmethod
    def from_lines(cls, lines: list[str], left_out: list[str]) -> "Written":
        """A text."""
        return cls("".join(f"{line}\n" for line in lines).encode(), tuple(left_out))


@dataclass(slots=True, frozen=True)
class Format:
    """A format in which profiles are written."""

    name: str
    """For `--format`."""
    description: str
    """What takes it, in a few words."""
    write: Callable[[Profile], Written]
    """May raise SeccompError, in one line: what is wrong, and what to do."""
    actions: tuple[str, ...]
    """What can become of a call that is not allowed: names of actions, or whole ones as `errno:EPERM`. The first is
    taken where the user asks for none; `errno` may not come first."""
    bases: tuple[str, ...] = ("end",)
    """The base sets that are allowed where the user does not say otherwise: for what usually takes the format."""
    is_text: bool = True
    """Whether a terminal can show it."""

    def action(self, wanted: Action | None) -> Action:
        """What becomes of a call that is not allowed; SeccompError where the format cannot say that."""
        if wanted is None:
            return Action.parse(self.actions[0])
        if str(wanted) in self.actions or wanted.name in self.actions:
            return wanted
        any_error = "errno" in self.actions
        named = [action for action in self.actions if not any_error or not action.startswith("errno")]
        known = ", ".join([*(["errno:NAME"] if any_error else []), *named])
        raise SeccompError(f"{self.name} cannot give {wanted} to other calls: it has {known}")
