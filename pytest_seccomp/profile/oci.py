"""A policy from a seccomp profile as container runtimes take it: that of the OCI, and docker's, which podman takes too.

It decides as the filter does that runc makes of it. The file is the profile itself or a whole config.json with a
`linux.seccomp`.
Sources: the runtime specification of the OCI (config-linux.md, Seccomp), runc's libcontainer/seccomp, moby's
profiles/seccomp, pkg/seccomp of containers/common (`errno` and `defaultErrno`, names in place of numbers).
"""

import errno
from collections.abc import Iterator, Mapping
from pathlib import Path

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux import syscalls
from pytest_seccomp.profile.actions import MAX_ERRNO, Action, error_number
from pytest_seccomp.profile.architectures import COMPANIONS, PROFILE_NAMES
from pytest_seccomp.profile.conditions import Condition, Operator
from pytest_seccomp.profile.document import Node, nearest, read
from pytest_seccomp.profile.known import known_names
from pytest_seccomp.profile.policy import Policy, Rule
from pytest_seccomp.profile.selection import Host, Selection
from pytest_seccomp.profile.settling import settled
from pytest_seccomp.trace.wanted import Wanted

_TOP = (
    "defaultAction", "defaultErrnoRet", "defaultErrno", "architectures", "archMap", "flags", "listenerPath",
    "listenerMetadata", "syscalls",
)  # fmt: skip
_ENTRY = ("names", "name", "action", "errnoRet", "errno", "args", "comment", "includes", "excludes")
_NOTIFY = "SCMP_ACT_NOTIFY"
_ACTIONS = {
    "SCMP_ACT_KILL": "kill_thread",
    "SCMP_ACT_KILL_THREAD": "kill_thread",
    "SCMP_ACT_KILL_PROCESS": "kill_process",
    "SCMP_ACT_TRAP": "trap",
    "SCMP_ACT_ERRNO": "errno",
    "SCMP_ACT_TRACE": "trace",
    "SCMP_ACT_ALLOW": "allow",
    "SCMP_ACT_LOG": "log",
    _NOTIFY: "",
}
_LARGEST_DATA = {"errno": MAX_ERRNO, "trace": 0xFFFF}
_LOG_FLAG = "SECCOMP_FILTER_FLAG_LOG"
_FLAGS = {
    flag: flag
    for flag in (
        "SECCOMP_FILTER_FLAG_TSYNC", _LOG_FLAG, "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
    )
}  # fmt: skip
_OPERATORS = {operator.value: operator for operator in Operator}
_LENIENT = ("allow", "log", "trace")
_FOREIGN = Action("kill_thread")  # of libseccomp, for architectures that a filter was not made for


def from_profile(path: Path, host: Host) -> Policy:
    """The policy that a profile has for programs on a host.

    SeccompError, with file, place and reason, where it cannot be read, is malformed, or wants what only a container
    runtime can do; whatever else of it is not done, or may be meant otherwise, is in the policy's warnings.
    """
    return from_document(read(path), host)


def from_document(document: Node, host: Host) -> Policy:
    """The same from a profile that is no file any more."""
    value = document.value
    if type(value) is dict and "ociVersion" in value:
        for name in ("linux", "seccomp"):
            value = value.get(name) if type(value) is dict else None
        document = Node(document.file, "linux.seccomp", value)
    warnings: list[str] = []
    members = document.members(_TOP, warnings)
    default = _action(document, members, ("defaultAction", "defaultErrnoRet", "defaultErrno"))
    architectures = _architectures(document, members, host, warnings)
    rules: list[Rule] = []
    unknown: dict[str, Node] = {}
    for entry in members["syscalls"].items() if "syscalls" in members else ():
        rules += _rules(entry, host, warnings, unknown)
    for name, node in unknown.items():
        meant = nearest(name, syscalls.all_names())
        hint = f"did you mean {meant}?" if meant else "it may be newer than this version"
        warnings.append(node.said(f"no system call is named {node.shown()}, so it is left out: {hint}"))
    _warn_of_the_runtime(members, warnings)
    contradictions: list[str] = []
    holding = settled(rules, default, architectures, contradictions)
    warnings += map(document.said, contradictions)
    # runc: what the profile cannot have known is answered as by a kernel that does not know it
    newer = None if default.name in _LENIENT else Action("errno", errno.ENOSYS)
    named, idle = [rule.call for rule in rules], [rule for rule in rules if rule.action == default]
    return Policy(default, holding, architectures, _FOREIGN, newer, named, warnings, idle)


def _architectures(document: Node, members: Mapping[str, Node], host: Host, warnings: list[str]) -> tuple[str, ...]:
    """Those of the profile that can come on the host, whose own is always there."""
    listed, mapped = members.get("architectures"), members.get("archMap")
    named: set[str] = set()
    if listed is not None:
        named.update(item.chosen(PROFILE_NAMES, "architecture") for item in listed.items())
    for entry in mapped.items() if mapped is not None else ():
        parts = entry.members(("architecture", "subArchitectures"), warnings)
        main = entry.required(parts, "architecture").chosen(PROFILE_NAMES, "architecture")
        subs = parts["subArchitectures"].items() if "subArchitectures" in parts else ()
        others = {item.chosen(PROFILE_NAMES, "architecture") for item in subs}
        if main == host.machine.name:
            named |= others
    if listed is not None and listed.value and mapped is not None and mapped.value:
        raise document.wrong('both "architectures" and "archMap": use one of them')
    machine, *companions = COMPANIONS[host.machine.name]
    return machine, *(name for name in companions if name in named)


def _rules(entry: Node, host: Host, warnings: list[str], unknown: dict[str, Node]) -> Iterator[Rule]:
    """Those of an entry, which is read whole also where it does not hold for the host."""
    members = entry.members(_ENTRY, warnings)
    if "names" in members and "name" in members:
        raise entry.wrong('both "name" and "names": use one of them')
    names = [members["name"]] if "name" in members else [*entry.required(members, "names").items()]
    if not names:
        raise members["names"].wrong("is empty")
    texts = [(node.text(), node) for node in names]
    action = _action(entry, members, ("action", "errnoRet", "errno"))
    conditions = [_condition(node, warnings) for node in members["args"].items()] if "args" in members else []
    alternatives: list[tuple[Condition, ...]] = [tuple(conditions)]
    if len({condition.index for condition in conditions}) < len(conditions):
        alternatives = [(condition,) for condition in conditions]
        warnings.append(members["args"].said("one argument twice: as in runc, any one of the conditions is enough"))
    included, excluded = (
        Selection.from_node(members[name], warnings) if name in members else None for name in ("includes", "excludes")
    )
    if (excluded is not None and excluded.excludes(host)) or not (included is None or included.includes(host)):
        return
    for name, node in texts:
        if name not in known_names():
            unknown.setdefault(name, node)
        yield from (Rule(Wanted(name, None, name, None), action, one) for one in alternatives)


def _action(node: Node, members: Mapping[str, Node], names: tuple[str, str, str]) -> Action:
    """What the members for action, error number and error name say together."""
    action, number, error = names
    name = node.required(members, action).chosen(_ACTIONS, "action")
    if not name:
        raise members[action].wrong(f"{_NOTIFY} asks an agent of the container runtime, and there is none")
    largest = _LARGEST_DATA.get(name)
    if largest is None:
        for member in (number, error):
            # An empty text for `errno` is what containers/common writes for none
            if member in members and members[member].value != "":
                raise members[member].wrong(f"{members[action].value} gives no error")
        return Action(name)
    data = members[number].natural(largest) if number in members else None
    if error in members and members[error].value != "":
        text = members[error].text()
        try:
            named = error_number(text)
        except SeccompError as problem:
            raise members[error].wrong(str(problem)) from None
        if data not in (None, named):
            raise node.wrong(f'"{number}" is {data}, "{error}" is {members[error].value}: they are different errors')
        data = named
    return Action(name, errno.EPERM if data is None else data)


def _condition(node: Node, warnings: list[str]) -> Condition:
    members = node.members(("index", "value", "valueTwo", "op"), warnings)
    index = node.required(members, "index").natural(5)
    operator = node.required(members, "op").chosen(_OPERATORS, "comparison")
    value, two = (members[name].natural(2**64 - 1) if name in members else 0 for name in ("value", "valueTwo"))
    if operator is Operator.MASKED_EQ:
        return Condition(index, operator, two, mask=value)
    if two:
        warnings.append(members["valueTwo"].said(f"{two} is not looked at: only {Operator.MASKED_EQ.value} has two"))
    return Condition(index, operator, value)


def _warn_of_the_runtime(members: Mapping[str, Node], warnings: list[str]) -> None:
    """Of what a profile says to the container runtime about the filter, and not about calls."""
    for flag in members["flags"].items() if "flags" in members else ():
        if flag.chosen(_FLAGS, "flag of filters") == _LOG_FLAG:
            warnings.append(flag.said("denials are not written to the kernel's log"))
    for name in ("listenerPath", "listenerMetadata"):
        if name in members and members[name].value != "":
            warnings.append(members[name].said(f"not used, for there is no {_NOTIFY}"))
