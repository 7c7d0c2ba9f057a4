"""What a profile says, before it is written in one format or another: which calls are allowed, and why."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from pytest_seccomp.profile.actions import Action
from pytest_seccomp.profile.architectures import machine_of


@dataclass(slots=True, frozen=True)
class Allowed:
    """A system call that is allowed."""

    arch: str
    number: int
    """As the kernel reports it, so with the bit 0x40000000 on x32."""
    name: str | None
    """None where nobody knows the number."""
    reason: str = ""
    """Why it is allowed, where no trace has it."""

    @property
    def text(self) -> str:
        """With its architecture, as commands take it: `i386:socketcall`, `x86_64:4000`."""
        return f"{self.arch}:{self.name or self.number}"


@dataclass(slots=True, frozen=True)
class Part:
    """Calls of one origin. Those of an earlier part are not in a later one."""

    origin: str
    """In words, in one line: `called in out.ndjson`."""
    calls: tuple[Allowed, ...]
    """By architecture and number."""


@dataclass(slots=True, frozen=True)
class Profile:
    """The calls that are allowed, and what becomes of all others."""

    name: str
    """For formats in which a profile has one: small letters, digits, `-` and `.`."""
    default: Action
    """What becomes of a call that is not allowed."""
    parts: tuple[Part, ...]
    remarks: tuple[str, ...] = ()
    """What whoever reads the profile has to know of it, a line each."""

    @classmethod
    def of(cls, name: str, default: Action, parts: Iterable[Part], remarks: Iterable[str] = ()) -> "Profile":
        """A profile of parts, in which each call stays in the first part that has it."""
        kept = []
        seen: set[tuple[str, int]] = set()
        for part in parts:
            fresh = tuple(call for call in part.calls if (call.arch, call.number) not in seen)
            seen.update((call.arch, call.number) for call in fresh)
            kept.append(replace(part, calls=fresh))
        return cls(name, default, tuple(kept), tuple(remarks))

    @property
    def calls(self) -> Iterator[Allowed]:
        """Those of all parts."""
        return (call for part in self.parts for call in part.calls)

    @property
    def architectures(self) -> tuple[str, ...]:
        """Those of the calls, that of a machine before those of 32-bit programs on it."""
        found = {call.arch for call in self.calls}
        return tuple(sorted(found, key=lambda arch: (machine_of(arch), machine_of(arch) != arch, arch)))

    @property
    def machines(self) -> tuple[str, ...]:
        """The architectures of the machines on which the calls are made."""
        return tuple(sorted({machine_of(arch) for arch in self.architectures}))

    @property
    def unnamed(self) -> tuple[Allowed, ...]:
        """Calls without a name, of which a format that has but names cannot speak."""
        return tuple(call for call in self.calls if call.name is None)

    def named(self) -> Iterator[tuple[Part, list[Allowed]]]:
        """Each part with the first call of each name, in the order of the names; a name of an earlier part is not
        repeated. For formats in which a name is that call on every architecture."""
        seen: set[str] = set()
        for part in self.parts:
            fresh: dict[str, Allowed] = {}
            for call in part.calls:
                if call.name is not None and call.name not in seen:
                    fresh.setdefault(call.name, call)
            seen.update(fresh)
            yield part, [fresh[name] for name in sorted(fresh)]

    def only(self, architectures: Collection[str]) -> "Profile":
        """Without the calls of other architectures."""
        parts = (
            replace(part, calls=tuple(call for call in part.calls if call.arch in architectures)) for part in self.parts
        )
        return replace(self, parts=tuple(parts))

    def heading(self, left_out: Collection[str] = ()) -> list[str]:
        """Where it is from and what to know of it, for a comment before the first part; `left_out` is what the format
        could not say."""
        return ["Made by pytest-seccomp generate.", *self.remarks, *left_out]
