"""The marker of policies that a test puts itself under: what it says, and what it cannot say."""

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux.architecture import I386, X32_BIT, X86_64
from pytest_seccomp.profile.actions import Action
from pytest_seccomp.profile.in_process import InProcess, calls, of_marker, together

WHERE = "tests/test_net.py::test_fetch"
EPERM = Action.parse("errno:EPERM")


def marker(*args: Any, **kwargs: Any) -> InProcess:
    return of_marker(args, kwargs, X86_64, WHERE)


def test_what_a_marker_says() -> None:
    assert marker(deny=["@internet", "ptrace"]) == InProcess(("@internet", "ptrace"), EPERM, fixtures=False)
    assert marker(deny=("openat",), action="errno:ENOENT", fixtures=True) == InProcess(
        ("openat",), Action.parse("errno:ENOENT"), fixtures=True
    )
    assert marker(deny={"openat"}, action="log").action == Action("log")


@pytest.mark.parametrize(
    "text",
    [
        '@pytest.mark.seccomp(deny=["@internet"])',
        '@pytest.mark.seccomp(deny=["socket", "bind"], action="errno:ENETDOWN")',
        '@pytest.mark.seccomp(deny=["x86_64:257"], action="log", fixtures=True)',
    ],
)
def test_it_is_shown_as_it_is_written(text: str) -> None:
    names = {"pytest": SimpleNamespace(mark=SimpleNamespace(seccomp=dict))}
    assert str(marker(**eval(text[1:], names))) == text


@pytest.mark.parametrize(
    ("args", "kwargs", "reason"),
    [
        (["@internet"], {}, ' takes its calls by name: write @pytest.mark.seccomp(deny=["@internet"])'),
        ([], {"denny": ["socket"]}, " knows no denny=: did you mean deny=?"),
        ([], {"strict": True}, " knows no strict=: there are deny=, action=, fixtures="),
        ([], {"deny": ["socket"], "allow": ["read"]}, " knows no allow=: in a test there is only deny=; "),
        ([], {}, ": it denies no call: write which, as in "),
        ([], {"deny": []}, ": it denies no call: write which, as in "),
        ([], {"deny": "@internet"}, """: deny='@internet' is no list: write deny=["@internet"]"""),
        ([], {"deny": 41}, ": deny=41 is no list: write which calls, as in "),
        ([], {"deny": [True]}, ": True is no name of a call: write names, as in "),
        ([], {"deny": ["sokcet"]}, ": no system call is named 'sokcet': did you mean socket"),
        ([], {"deny": ["@internett"]}, ": no group of system calls is named '@internett': did you mean @internet?"),
        (
            [],
            {"deny": ["socket"], "action": "kill_process"},
            ": action='kill_process': in a test there are errno:NAME ",
        ),
        ([], {"deny": ["socket"], "action": "trap"}, ": action='trap': in a test there are errno:NAME and log; "),
        ([], {"deny": ["socket"], "action": "allow"}, ": action='allow': in a test there are errno:NAME and log; "),
        ([], {"deny": ["socket"], "action": "errno:EPREM"}, ": 'EPREM' is no error: did you mean EPERM?"),
        ([], {"deny": ["socket"], "action": "errno"}, ": 'errno' does not say which error: "),
        ([], {"deny": ["socket"], "action": "errro:EPERM"}, ": 'errro:EPERM' is no action: did you mean errno:NAME?"),
        ([], {"deny": ["socket"], "action": 1}, ": action=1 is no action: write "),
        ([], {"deny": ["socket"], "fixtures": "yes"}, ": fixtures='yes' is neither True nor False"),
    ],
)
def test_what_it_cannot_say(args: list[object], kwargs: dict[str, object], reason: str) -> None:
    with pytest.raises(SeccompError) as caught:
        of_marker(args, kwargs, X86_64, WHERE)
    assert str(caught.value).startswith(f"{WHERE}: @pytest.mark.seccomp{reason}")
    assert "\n" not in str(caught.value)


def test_the_calls_of_which_it_says_something() -> None:
    policy = marker(deny=["@internet"]).policy(X86_64)
    assert set(calls(policy)) == {
        X86_64.audit_arch << 32 | 41,
        X86_64.audit_arch << 32 | X32_BIT | 41,
        I386.audit_arch << 32 | 359,
        I386.audit_arch << 32 | 102,
    }


def test_several_policies_say_what_each_says() -> None:
    one, two = (marker(deny=[name]).policy(X86_64) for name in ("@internet", "openat"))
    both = together([one, two])
    assert set(calls(both)) == {*calls(one), *calls(two)}
    assert both.rules == [*one.rules, *two.rules]
    assert together([one]) == one
