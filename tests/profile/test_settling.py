"""Several rules of a profile for one call: which holds, and what is said of the others."""

from pytest_seccomp.profile.actions import ALLOW, Action
from pytest_seccomp.profile.conditions import Condition, Operator
from pytest_seccomp.profile.policy import Rule
from pytest_seccomp.profile.settling import settled
from pytest_seccomp.trace.wanted import Wanted

EPERM, EACCES, TRAP = map(Action.parse, ("errno:EPERM", "errno:EACCES", "trap"))
ONE = Condition(0, Operator.EQ, 1)
TWO = Condition(0, Operator.EQ, 2)
SMALL = Condition(0, Operator.LT, 7)
SECOND = Condition(1, Operator.EQ, 1)


def rule(name: str, action: Action, *conditions: Condition) -> Rule:
    return Rule(Wanted(name, None, name, None), action, conditions)


def settle(*rules: Rule, architectures: tuple[str, ...] = ("x86_64",)) -> tuple[list[Rule], list[str]]:
    warnings: list[str] = []
    return settled(rules, EPERM, architectures, warnings), warnings


def test_rules_that_do_not_meet_all_hold() -> None:
    rules = [rule("kill", ALLOW, ONE), rule("kill", TRAP, TWO), rule("tkill", ALLOW), rule("tgkill", TRAP, SECOND)]
    assert settle(*rules) == (rules, [])


def test_rules_of_one_action_all_hold() -> None:
    rules = [rule("kill", ALLOW, ONE), rule("kill", ALLOW, SMALL)]
    assert settle(*rules) == (rules, [])


def test_a_rule_without_conditions_holds_wherever_it_stands() -> None:
    whole, part = rule("kill", ALLOW), rule("kill", TRAP, ONE)
    warning = "kill: trap has no effect beside allow, as in a container: a rule without conditions goes first"
    assert settle(whole, part) == ([whole], [warning])
    assert settle(part, whole) == ([whole], [warning])
    assert settle(rule("kill", ALLOW, ONE), whole) == ([whole], [])


def test_of_two_without_conditions_the_first_holds() -> None:
    first, second = rule("kill", TRAP), rule("kill", ALLOW)
    assert settle(first, second) == (
        [first],
        ["kill: allow has no effect beside trap, as in a container: a rule without conditions goes first"],
    )
    assert settle(second, second) == ([second], [])


def test_the_default_action_makes_no_exception() -> None:
    allowed, exception = rule("kill", ALLOW, SMALL), rule("kill", EPERM, ONE)
    assert settle(exception, allowed) == (
        [allowed],
        ["kill: errno:EPERM has no effect beside allow, as in a container: it is the default action"],
    )
    assert settle(rule("kill", EPERM), rule("tkill", EPERM, ONE)) == ([], [])
    assert settle(rule("kill", EPERM, Condition(0, Operator.GT, 7)), allowed) == ([allowed], [])


def test_where_two_may_be_met_the_stricter_is_named() -> None:
    rules = [rule("kill", ALLOW, SMALL), rule("kill", TRAP, SECOND)]
    found, warnings = settle(*rules)
    assert found == rules
    assert warnings == [
        "kill: a call may meet both allow and trap: trap is done, in a container it depends on libseccomp's version"
    ]


def test_on_i386_a_call_is_also_a_part_of_another() -> None:
    found, warnings = settle(rule("connect", ALLOW), rule("msgget", TRAP), architectures=("x86_64", "i386"))
    assert [str(one.call.text) for one in found] == ["connect", "msgget", "i386:socketcall", "i386:ipc"]
    assert [one.conditions for one in found[2:]] == [
        (Condition(0, Operator.MASKED_EQ, 3, 0xFFFFFFFF),),
        (Condition(0, Operator.MASKED_EQ, 13, 0xFFFF),),
    ]
    assert warnings == []


def test_conditions_that_socketcall_hides_are_named() -> None:
    found, warnings = settle(rule("socket", ALLOW, ONE, SECOND), architectures=("x86_64", "i386"))
    assert found[1].conditions == (Condition(0, Operator.MASKED_EQ, 1, 0xFFFFFFFF), SECOND)
    assert warnings == ["socket: on i386 also made by socketcall, arguments in memory: no conditions checked"]


def test_what_a_profile_says_of_socketcall_goes_first() -> None:
    rules = [rule("socketcall", ALLOW), rule("socket", TRAP, ONE)]
    assert settle(*rules, architectures=("x86_64", "i386")) == (rules, [])
