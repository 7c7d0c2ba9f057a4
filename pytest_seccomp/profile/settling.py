"""Rules of a profile that are about the same call: which of them holds, as container runtimes and libseccomp have it.

- A rule with the default action is left out (runc, libcontainer/seccomp): it makes no exception to another one.
- A rule without conditions holds in place of all others for its call, wherever it stands; of several the first
  (libseccomp, src/db.c).
- Of rules with conditions that arguments may meet together libseccomp finds one by the shape of its tree, which differs
  between versions; here it is the strictest.

Where one of these takes something away from what the profile says, a warning names it.
"""

from collections.abc import Iterable, Iterator
from itertools import combinations

from pytest_seccomp.linux.architecture import I386
from pytest_seccomp.profile.actions import Action
from pytest_seccomp.profile.conditions import overlap
from pytest_seccomp.profile.multiplexed import carrier, within
from pytest_seccomp.profile.policy import Rule


def settled(rules: Iterable[Rule], default: Action, architectures: tuple[str, ...], warnings: list[str]) -> list[Rule]:
    """The rules that hold, those for parts of i386's socketcall and ipc included; appends to the warnings."""
    by_name: dict[str, list[Rule]] = {}
    for rule in rules:
        by_name.setdefault(rule.call.text, []).append(rule)
    found = {name: list(_of_one_call(name, same, default, warnings)) for name, same in by_name.items()}
    whole = {name for name, same in found.items() if any(not rule.conditions for rule in same)}
    parts = []
    for name, same in found.items():
        carried = [part for rule in same if carrier(rule) not in whole for part in within(rule, architectures)]
        if carried and any(rule.conditions for rule in same):
            warnings.append(
                f"{name}: on {I386.name} also made by {carrier(same[0])}, arguments in memory: no conditions checked"
            )
        parts += carried
    return [*(rule for same in found.values() for rule in same), *parts]


def _of_one_call(name: str, rules: list[Rule], default: Action, warnings: list[str]) -> Iterator[Rule]:
    effective = [rule for rule in rules if rule.action != default]
    whole = next((rule for rule in effective if not rule.conditions), None)
    kept = effective if whole is None else [whole]
    yield from kept
    for rule in rules:
        if any(rule is one for one in kept):
            continue
        against = next((one for one in kept if _contradict(one, rule)), None)
        if against is not None:
            reason = "it is the default action" if rule.action == default else "a rule without conditions goes first"
            warnings.append(f"{name}: {rule.action} has no effect beside {against.action}, as in a container: {reason}")
    for one, two in combinations(kept, 2):
        if _contradict(one, two):
            stricter = min(one.action, two.action, key=lambda action: action.leniency)
            warnings.append(
                f"{name}: a call may meet both {one.action} and {two.action}: {stricter} is done, in a container it "
                "depends on libseccomp's version"
            )


def _contradict(one: Rule, two: Rule) -> bool:
    return one.action != two.action and overlap(one.conditions, two.conditions)
