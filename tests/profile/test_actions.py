"""Actions: as users write them, and as the kernel returns and ranks them."""

import errno

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.profile.actions import ALLOW, Action, error_number


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("kill_process", 0x80000000),
        ("kill_thread", 0),
        ("trap", 0x30000),
        ("errno:EPERM", 0x50001),
        ("errno:ENOSYS", 0x50026),
        ("errno:4095", 0x50FFF),
        ("errno:0", 0x50000),
        ("trace", 0x7FF00000),
        ("log", 0x7FFC0000),
        ("allow", 0x7FFF0000),
    ],
)
def test_an_action_has_a_text_and_a_verdict(text: str, verdict: int) -> None:
    action = Action.parse(text)
    assert action.verdict == verdict
    assert Action.from_verdict(verdict) == action
    assert str(action) == text


def test_a_message_to_a_tracer_is_shown() -> None:
    assert str(Action("trace", 7)) == "trace:7"
    assert Action.from_verdict(0x7FF00007) == Action("trace", 7)


def test_another_name_of_an_error() -> None:
    assert Action.parse("errno:EWOULDBLOCK") == Action("errno", errno.EAGAIN)
    assert str(Action("errno", errno.EAGAIN)) == "errno:EAGAIN"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kil_process", "'kil_process' is no action: did you mean kill_process?"),
        ("erno:EPERM", "'erno:EPERM' is no action: did you mean errno:NAME?"),
        ("EPERM", "'EPERM' is no action: did you mean errno:EPERM?"),
        ("eacces", "'eacces' is no action: did you mean errno:EACCES?"),
        ("kill", "'kill' is no action: did you mean kill_process or kill_thread?"),
        (
            "",
            "'' is no action: use errno:NAME or one of kill_process, kill_thread, trap, errno, trace, log, allow",
        ),
        ("errno", "'errno' does not say which error: use errno:NAME, as in errno:EPERM"),
        ("errno:EPREM", "'EPREM' is no error: did you mean EPERM?"),
        ("errno:", "'' is no error: name it as in EPERM, or give its number"),
        ("errno:4096", "4096 is no error: the largest is 4095"),
        ("errno:-1", "'-1' is no error: name it as in EPERM, or give its number"),
        ("log:1", "'log:1' is no action: log takes nothing after it"),
        ("user_notif", "'user_notif' is no action: use errno:NAME or one of "),
    ],
)
def test_a_wrong_action_is_refused_with_the_nearest_right_one(text: str, message: str) -> None:
    with pytest.raises(SeccompError) as caught:
        Action.parse(text)
    assert str(caught.value).startswith(message)


def test_errors_go_by_their_names() -> None:
    for number, name in errno.errorcode.items():
        assert error_number(name) == number


def test_strictness_is_the_kernels() -> None:
    names = ["kill_process", "kill_thread", "trap", "errno:EPERM", "trace", "log", "allow"]
    actions = [Action.parse(name) for name in names]
    assert sorted({*actions}, key=lambda action: action.leniency) == actions
    assert Action("errno", 1).leniency == Action("errno", 38).leniency
    assert actions[-1] == ALLOW
