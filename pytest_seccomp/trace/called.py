"""The system calls that something made, as a user asks for them: `assert "socket" not in calls`."""

import json
from collections.abc import Iterator, Mapping

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux.syscalls import SystemCall, identify
from pytest_seccomp.trace.wanted import Wanted, named


class Calls(Mapping[str, int]):
    """How often each call was made, by its name, or by its number, as `Wanted.parse` takes them.

    To ask for a name that no call has is an error (SeccompError), for it would never be there. Without an architecture
    a name means that of all. Iterating gives names as `openat`, with the architecture where it is not `machine`, as
    `i386:socketcall`, and the number where there is no name, as `x86_64:4000`.
    """

    def __init__(self, counts: Mapping[int, int], machine: str) -> None:
        """`counts` are by AUDIT_ARCH_* << 32 | number."""
        self._machine = machine
        self._counts: dict[SystemCall, int] = {}
        for call, count in counts.items():
            number = call & 0xFFFFFFFF
            found = identify(call >> 32, number - 2**32 if number >> 31 else number)
            self._counts[found] = self._counts.get(found, 0) + count

    def __getitem__(self, text: str | int) -> int:
        """How often it was made; KeyError where never."""
        found = self._of(text)
        if not found:
            raise KeyError(text)
        return found

    def __contains__(self, text: object) -> bool:
        """Whether it was made."""
        return isinstance(text, str | int) and self._of(text) > 0

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._text(call) for call in self._counts))

    def __len__(self) -> int:
        return len(self._counts)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {json.dumps(dict(self))}>"

    @property
    def total(self) -> int:
        """How many there were, all together."""
        return sum(self._counts.values())

    def items_by_call(self) -> Iterator[tuple[SystemCall, int]]:
        """Each call with its count, by architecture and number."""
        return iter(sorted(self._counts.items(), key=lambda item: item[0][:2]))

    def _of(self, text: str | int) -> int:
        name = named(text)
        if name is None:
            raise SeccompError(f"{text!r} is no system call: ask for one by its name or its number")
        wanted = Wanted.parse(name)
        wanted.check_known()
        return sum(count for call, count in self._counts.items() if wanted.is_met_by(call.arch, call.number, call.name))

    def _text(self, call: SystemCall) -> str:
        if call.name is None:
            return f"{call.arch}:{call.number}"
        return call.name if call.arch == self._machine else f"{call.arch}:{call.name}"
