"""Policies that a test puts itself under, by its marker: what is denied to it, and nothing else.

There is no allow-list, which would meet pytest, the allocator, imports and threads; and no action that kills, because
it would end pytest.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux import syscalls
from pytest_seccomp.linux.architecture import Architecture
from pytest_seccomp.profile import names
from pytest_seccomp.profile.actions import Action
from pytest_seccomp.profile.policy import Policy, numbers
from pytest_seccomp.trace.wanted import named

MARKER = "seccomp"

_EXAMPLE = f'@pytest.mark.{MARKER}(deny=["@internet"])'
_ARGUMENTS = ("deny", "action", "fixtures")
_ACTIONS = ("errno", "log")
_DEFAULT = "errno:EPERM"


@dataclass(slots=True, frozen=True)
class InProcess:
    """What a marker says."""

    deny: tuple[str, ...]
    """Calls and groups, as the user has named them."""
    action: Action
    """An error, or log: it is let pass, and told of."""
    fixtures: bool
    """Whether it holds in the test's own fixtures as well: in its setup and teardown."""

    def __str__(self) -> str:
        denied = ", ".join(f'"{name}"' for name in self.deny)
        action = "" if str(self.action) == _DEFAULT else f', action="{self.action}"'
        return f"@pytest.mark.{MARKER}(deny=[{denied}]{action}{', fixtures=True' if self.fixtures else ''})"

    def policy(self, machine: Architecture) -> Policy:
        """For the calls that can come on a machine. Raises SeccompError for a name that no call or group has."""
        return names.from_names(machine, self.action, deny=self.deny)


def of_marker(args: Sequence[object], kwargs: Mapping[str, object], machine: Architecture, where: str) -> InProcess:
    """What a marker `seccomp(deny=[...], action="errno:EPERM", fixtures=False)` says. Raises SeccompError, which names
    what the marker stands at (`where`), what is wrong and what to write."""
    origin = f"{where}: @pytest.mark.{MARKER}"
    if args:
        raise SeccompError(f"{origin} takes its calls by name: write {_EXAMPLE}")
    for name in kwargs:
        if name not in _ARGUMENTS:
            raise SeccompError(f"{origin} knows no {name}=: {_instead_of(name)}")
    fixtures = kwargs.get("fixtures", False)
    if not isinstance(fixtures, bool):
        raise SeccompError(f"{origin}: fixtures={fixtures!r} is neither True nor False")
    try:
        found = InProcess(_denied(kwargs.get("deny", ())), _action(kwargs.get("action", _DEFAULT)), fixtures)
        found.policy(machine)
    except SeccompError as error:
        raise SeccompError(f"{origin}: {error}") from None
    return found


def together(policies: Iterable[Policy]) -> Policy:
    """One that says something of each call of which one of them does. There has to be one."""
    first, *others = policies
    return replace(first, rules=[*first.rules, *(rule for policy in others for rule in policy.rules)])


def calls(policy: Policy) -> Iterator[int]:
    """The calls of which a policy says something, by whatever arguments: AUDIT_ARCH_* in the high 32 bits, the number
    in the low ones."""
    for arch in policy.architectures:
        audit_arch = syscalls.audit_arch_of(arch)
        for rule in policy.rules:
            yield from (audit_arch << 32 | number for number in numbers(rule.call, arch))


def _instead_of(argument: str) -> str:
    if argument == "allow":
        return "in a test there is only deny=; allow-lists belong to programs in sandboxes (seccomp_run)"
    nearest = difflib.get_close_matches(argument, _ARGUMENTS, n=1)
    return f"did you mean {nearest[0]}=?" if nearest else f"there are {'=, '.join(_ARGUMENTS)}="


def _denied(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        raise SeccompError(f'deny={value!r} is no list: write deny=["{value}"]')
    if not isinstance(value, Iterable):
        raise SeccompError(f"deny={value!r} is no list: write which calls, as in {_EXAMPLE}")
    found = []
    for one in value:
        name = named(one)
        if name is None:
            raise SeccompError(f"{one!r} is no name of a call: write names, as in {_EXAMPLE}")
        found.append(name)
    if not found:
        raise SeccompError(f"it denies no call: write which, as in {_EXAMPLE}")
    return tuple(found)


def _action(value: object) -> Action:
    if not isinstance(value, str):
        raise SeccompError(f'action={value!r} is no action: write action="errno:EPERM" or action="log"')
    action = Action.parse(value)
    if action.name not in _ACTIONS:
        raise SeccompError(
            f"action={value!r}: in a test there are errno:NAME and log; all others belong to programs in sandboxes "
            "(seccomp_run)"
        )
    return action
