"""The policy that a user gives a program: a profile, in a file or as an object, a trace, or names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from json import dumps, loads
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux.architecture import Architecture
from pytest_seccomp.profile import names, oci, traced
from pytest_seccomp.profile.actions import Action
from pytest_seccomp.profile.document import Node
from pytest_seccomp.profile.in_process import InProcess, together
from pytest_seccomp.profile.policy import Policy
from pytest_seccomp.profile.selection import Host
from pytest_seccomp.trace.paths import irregular
from pytest_seccomp.trace.reading import os_text
from pytest_seccomp.trace.wanted import named

DEFAULT_ACTION = "errno:EPERM"

Source = str | PathLike[str] | Mapping[str, Any]

_EXAMPLES = 'policy="profile.json", deny=["@internet"] or allow=["@system-service"]'
_LONGEST_LINE = 1 << 20
_TRACE_MEMBERS = ("syscall", "kind")
"""One of which each line of a trace has, and no profile at its top."""


@dataclass(slots=True, frozen=True)
class Given:
    """A policy, and what the user has said of it, in words."""

    policy: Policy
    words: str


def given(
    policy: Source | None,
    *,
    allow: Iterable[str] | None,
    deny: Iterable[str] | None,
    action: str | None,
    host: Host,
    allow_incomplete: bool = False,
) -> Given | None:
    """The policy that is given as the path of a profile (OCI, docker) or of a trace, as a profile itself, or by names
    of calls and groups; None where none is.

    `action` is for what a trace or an `allow` leaves out, and for what a `deny` names. Raises SeccompError: each kind
    of policy excludes the others, and what is wrong in a file is told with its place.
    """
    by_name = allow is not None or deny is not None
    if policy is not None and by_name:
        raise SeccompError("policy= is a whole policy: give it, or deny= and allow=, not both")
    if by_name:
        return _named(allow, deny, action, host)
    if policy is None:
        if action is not None:
            raise SeccompError(f"action={action!r} without calls that get it: add {_EXAMPLES}")
        return None
    if isinstance(policy, Mapping):
        _refuse_action(action)
        return Given(oci.from_document(Node(Path("policy"), "", _plain(policy)), host), "a profile given as an object")
    if not isinstance(policy, str | PathLike):
        raise SeccompError(f"policy={policy!r} is neither a path nor a profile: write {_EXAMPLES}")
    path = Path(fspath(policy))
    if _is_trace(path):
        made = traced.from_trace(path, host.machine, _action(action), allow_incomplete=allow_incomplete)
        return Given(made, _with(action, f"what the trace {path} has made"))
    _refuse_action(action)
    return Given(oci.from_profile(path, host), str(path))


def also_under(found: Given | None, others: Sequence[InProcess], machine: Architecture) -> Given:
    """A policy, or none, together with those of a test: what one of them denies is denied."""
    made = [one.policy(machine) for one in others]
    policy = together(made if found is None else [found.policy, *made])
    return Given(policy, " and ".join([*([] if found is None else [found.words]), *map(str, others)]))


def names_in(value: object, argument: str) -> tuple[str, ...]:
    """Names that a user has given as a list. SeccompError for anything else."""
    if isinstance(value, str):
        raise SeccompError(f'{argument}={value!r} is no list: write {argument}=["{value}"]')
    if not isinstance(value, Iterable):
        raise SeccompError(f'{argument}={value!r} is no list: write names, as in {argument}=["socket"]')
    found = []
    for one in value:
        name = named(one)
        if name is None:
            raise SeccompError(f"{argument}: {one!r} is no name of a call")
        found.append(name)
    return tuple(found)


def _named(allow: Iterable[str] | None, deny: Iterable[str] | None, action: str | None, host: Host) -> Given:
    allowed = None if allow is None else names_in(allow, "allow")
    denied = () if deny is None else names_in(deny, "deny")
    if allowed is None and not denied:
        raise SeccompError('deny= names no call: write which, as in deny=["@internet"]')
    made = names.from_names(host.machine, _action(action), allow=allowed, deny=denied)
    parts = [f"{name}={dumps(found)}" for name, found in (("allow", allowed), ("deny", denied)) if found]
    return Given(made, _with(action, ", ".join(parts) or "allow=[]"))


def _with(action: str | None, words: str) -> str:
    return words if action is None else f'{words}, action="{action}"'


def _action(text: str | None) -> Action:
    if text is not None and not isinstance(text, str):
        raise SeccompError(f'action={text!r} is no action: write action="kill_process" or action="errno:EPERM"')
    return Action.parse(DEFAULT_ACTION if text is None else text)


def _refuse_action(action: str | None) -> None:
    if action is not None:
        raise SeccompError(f"action={action!r}: a profile says itself which calls get which action: leave it out")


def _plain(profile: Mapping[str, Any]) -> object:
    """As a file would have it."""
    try:
        return loads(dumps(dict(profile)))
    except (TypeError, ValueError) as error:
        raise SeccompError(f"policy: no profile ({error})") from None


def _is_trace(path: Path) -> bool:
    """By its first line. What cannot be read is said by who reads it whole."""
    try:
        if irregular(path.stat().st_mode) is not None:
            return False
        with path.open("rb") as file:
            first = loads(file.readline(_LONGEST_LINE))
    except OSError as error:
        raise SeccompError(f"cannot read {path}: {os_text(error)}") from error
    except ValueError:
        return False
    return isinstance(first, dict) and any(member in first for member in _TRACE_MEMBERS)
