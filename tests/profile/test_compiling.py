"""Policies as filters: the kernel, our evaluation and the policy's own meaning agree on every call."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judged import I386, UNFILTERED, X86_64, Call, Kernel

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux import seccomp
from pytest_seccomp.linux.syscalls import all_names, audit_arch_of, numbers_of
from pytest_seccomp.profile.actions import ALLOW, Action
from pytest_seccomp.profile.bpf import decoded, evaluate, supervised
from pytest_seccomp.profile.compiling import program
from pytest_seccomp.profile.conditions import Condition, Operator
from pytest_seccomp.profile.policy import Policy, Rule
from pytest_seccomp.trace.wanted import Wanted

pytestmark = pytest.mark.needs("i386")

X32_BIT = 0x40000000
LIMIT = 2**64

ACTIONS = [*map(Action.parse, ("kill_process", "kill_thread", "trap", "errno:EPERM", "errno:ENOSYS", "log", "allow"))]
ACTIONS.append(Action("trace", 7))
# Numbers at which comparisons of two words of 32 bits can go wrong
EDGES = [0, 1, 2, 2**31, 2**32 - 2, 2**32 - 1, 2**32, 2**32 + 1, 2**33 - 1, 2**63, LIMIT - 2**32, LIMIT - 1]
NAMES = ["read", "socket", "socketcall", "execve", "mseal", "rt_sigaction", "waitpid", "file_setattr", "clone"]

values = st.sampled_from(EDGES) | st.integers(0, LIMIT - 1)
actions = st.sampled_from(ACTIONS)
conditions = st.builds(Condition, st.integers(0, 5), st.sampled_from(Operator), values, values)
calls_named = st.builds(
    lambda arch, name: Wanted.parse(f"{arch}{name}"),
    st.sampled_from(["", "x86_64:", "i386:", "x32:"]),
    st.sampled_from(NAMES),
)
calls_numbered = st.builds(
    lambda arch, number: Wanted.parse(f"{arch}{number}"), st.sampled_from(["", "x86_64:", "i386:"]), st.integers(0, 480)
)
rules = st.builds(Rule, calls_named | calls_numbered, actions, st.lists(conditions, max_size=3).map(tuple))
policies = st.builds(
    Policy,
    default=actions,
    rules=st.lists(rules, max_size=8),
    architectures=st.sampled_from([("x86_64",), ("x86_64", "i386"), ("x86_64", "x32", "i386")]),
    foreign=actions,
    newer=st.none() | actions,
    known=st.lists(calls_named, max_size=2),
)
OPERATORS: dict[Operator, Callable[[int, int], bool]] = {
    Operator.NE: lambda one, two: one != two,
    Operator.LT: lambda one, two: one < two,
    Operator.LE: lambda one, two: one <= two,
    Operator.EQ: lambda one, two: one == two,
    Operator.GE: lambda one, two: one >= two,
    Operator.GT: lambda one, two: one > two,
}
STRICTNESS = ["kill_process", "kill_thread", "trap", "errno", "trace", "log", "allow"]


def arch_of(call: Call) -> str:
    return "i386" if call.arch == I386 else "x32" if call.number >= X32_BIT else "x86_64"


def is_met(condition: Condition, call: Call) -> bool:
    bits = LIMIT - 1 if arch_of(call) == "x86_64" else 2**32 - 1
    argument, value, mask = (
        number & bits for number in (call.arguments[condition.index], condition.value, condition.mask)
    )
    if condition.operator is Operator.MASKED_EQ:
        return argument & mask == value & mask
    return OPERATORS[condition.operator](argument, value)


def own_numbers(wanted: Wanted, arch: str) -> set[int]:
    if wanted.arch not in (None, arch):
        return set()
    numbers = {wanted.number} if wanted.name is None else set(numbers_of(wanted.name, audit_arch_of(arch)))
    return {number for number in numbers if number is not None and ((number >= X32_BIT) == (arch == "x32"))}


def meaning(policy: Policy, call: Call) -> Action:
    """What the documentation of `Policy` says, word by word."""
    arch = arch_of(call)
    if call.arch == X86_64 and call.number == 2**32 - 1:
        return policy.default
    if arch not in policy.architectures:
        return policy.foreign
    calls = [*policy.known, *(rule.call for rule in policy.rules)]
    named = {number for known in calls for number in own_numbers(known, arch)}
    if policy.newer is not None and named and call.number > max(named):
        return policy.newer
    met = [
        rule.action
        for rule in policy.rules
        if call.number in own_numbers(rule.call, arch) and all(is_met(one, call) for one in rule.conditions)
    ]
    return min(met, key=lambda action: STRICTNESS.index(action.name), default=policy.default)


@st.composite
def policies_and_calls(draw: st.DrawFn) -> tuple[Policy, list[Call]]:
    """A policy, and calls of the numbers in it, and near them, with arguments on both sides of its values."""
    policy = draw(policies)
    arches = {I386: "i386", X86_64: "x86_64"}
    numbers = {arch: {0, 1, 2**31, 2**32 - 1} for arch in arches}
    for rule in policy.rules:
        for arch, name in arches.items():
            for one in (name, "x32") if arch == X86_64 else (name,):
                numbers[arch] |= {near for number in own_numbers(rule.call, one) for near in (number, number + 1)}
    compared = [
        one for rule in policy.rules for condition in rule.conditions for one in (condition.value, condition.mask)
    ]
    near_values = [near % LIMIT for value in compared for near in (value - 1, value, value + 1, value ^ 2**32)]
    arguments = st.sampled_from([*EDGES, *near_values])
    calls = []
    for _ in range(draw(st.integers(10, 25))):
        arch = draw(st.sampled_from([*arches]))
        number = draw(st.sampled_from(sorted(numbers[arch] - UNFILTERED)))
        bits = 2**32 - 1 if arch == I386 else LIMIT - 1
        six = draw(st.tuples(*[arguments] * 6))
        a, b, c, d, e, f = (argument & bits for argument in six)
        calls.append(Call(arch, number, (a, b, c, d, e, f)))
    return policy, calls


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=policies_and_calls())
def test_the_kernel_decides_as_we_do_and_as_the_policy_means(kernel: Kernel, case: tuple[Policy, list[Call]]) -> None:
    policy, calls = case
    code = program(policy)
    ours = [evaluate(decoded(code), call.data) for call in calls]
    assert ours == [meaning(policy, call).verdict for call in calls]
    assert kernel.verdicts(code, calls) == ours
    asked = seccomp.RET_USER_NOTIF
    assert [evaluate(supervised(decoded(code)), call.data) for call in calls] == [
        verdict if verdict == ALLOW.verdict else asked for verdict in ours
    ]


def test_each_stretch_of_numbers_is_found_however_far_it_is(kernel: Kernel) -> None:
    """More verdicts, and comparisons behind them, than a conditional jump can skip."""
    rules = [
        Rule(Wanted.parse(f"x86_64:{number}"), Action("errno", number + 1), (Condition(5, Operator.GT, number),))
        for number in range(0, 460, 2)
    ]
    code = program(Policy(ALLOW, rules, ("x86_64", "x32", "i386"), ALLOW))
    numbers = {*range(470)} - UNFILTERED
    calls = [Call(X86_64, number, (0, 0, 0, 0, 0, argument)) for number in numbers for argument in (0, LIMIT - 1)]
    expected = [
        0x50000 | call.number + 1 if call.number % 2 == 0 and call.number < 460 and call.arguments[5] else 0x7FFF0000
        for call in calls
    ]
    assert [evaluate(decoded(code), call.data) for call in calls] == expected
    assert kernel.verdicts(code, calls) == expected


def test_a_policy_that_is_too_large_is_refused() -> None:
    names = sorted(all_names())
    rules = [
        Rule(Wanted.parse(name), Action("trap"), (Condition(0, Operator.GT, value),))
        for value, name in enumerate(names)
    ]
    with pytest.raises(
        SeccompError, match=r"makes a filter of [0-9]+ instructions, and the kernel takes 4096: use fewer"
    ):
        program(Policy(ALLOW, rules, ("x86_64", "x32", "i386"), ALLOW))


def test_names_next_to_each_other_are_one_stretch() -> None:
    rules = [Rule(Wanted.parse(f"x86_64:{number}"), ALLOW) for number in (10, 11, 12, 13)]
    policy = Policy(Action("errno", 1), rules, ("x86_64",), Action("errno", 1))
    # architecture: 3 instructions and the verdict on the foreign, number: 1, stretches: 3 and -1, which is the default
    assert len(decoded(program(policy))) == 4 + 1 + 3 + 2
