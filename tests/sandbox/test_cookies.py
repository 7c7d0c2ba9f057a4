"""The filter of a sandbox: who is asked about a call, and what a cookie does."""

import pytest
import traces  # noqa: F401  # its profile for Hypothesis
from hypothesis import given
from hypothesis import strategies as st
from judged import I386, X86_64, Call

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux.seccomp import OFFSET_ARCH, OFFSET_NUMBER, RET_ALLOW, RET_LOG, RET_USER_NOTIF, argument
from pytest_seccomp.profile import bpf
from pytest_seccomp.sandbox.cookies import Cookies, is_the_kernels

KILL_PROCESS, KILL_THREAD, TRAP, ERRNO = 0x80000000, 0x00000000, 0x00030000, 0x00050000
VERDICTS = [RET_ALLOW, RET_LOG, KILL_PROCESS, KILL_THREAD, TRAP, TRAP | 7, ERRNO | 1, 0x7FF00000]


@st.composite
def programs(draw: st.DrawFn, *, sixth: bool) -> list[bpf.Instruction]:
    """Number, architecture and arguments compared one after the other, with a verdict for each."""
    places = [OFFSET_NUMBER, OFFSET_ARCH, *argument(0), *(argument(5) if sixth else ())]
    program: list[bpf.Instruction] = []
    for _ in range(draw(st.integers(0, 6))):
        test = draw(st.sampled_from([bpf.IF_EQUAL, bpf.IF_GREATER, bpf.IF_GREATER_OR_EQUAL]))
        value = draw(st.integers(0, 3) | st.sampled_from([I386, X86_64]))
        program += [
            bpf.load(draw(st.sampled_from(places))),
            (test, 0, 1, value),
            bpf.verdict(draw(st.sampled_from(VERDICTS))),
        ]
    return [*program, bpf.verdict(draw(st.sampled_from(VERDICTS)))]


small = st.integers(0, 4)
calls = st.builds(Call, st.sampled_from([I386, X86_64]), small, st.tuples(small, small, small, small, small, small))


@given(st.booleans().flatmap(lambda sixth: programs(sixth=sixth)), calls, st.booleans())
def test_the_supervisor_is_asked_about_what_is_not_allowed(
    program: list[bpf.Instruction], call: Call, everything: bool
) -> None:
    allowed = bpf.evaluate(program, call.data) == RET_ALLOW
    supervised = Cookies(program).supervised(everything=everything)
    assert bpf.evaluate(supervised, call.data) == (RET_ALLOW if allowed and not everything else RET_USER_NOTIF)


@given(st.booleans().flatmap(lambda sixth: programs(sixth=sixth)), calls, st.booleans())
def test_a_call_that_comes_back_with_its_cookie_has_its_verdict(
    program: list[bpf.Instruction], call: Call, everything: bool
) -> None:
    verdict = bpf.evaluate(program, call.data)
    if not is_the_kernels(verdict):
        return
    cookies = Cookies(program)
    back = Call(call.arch, call.number, (*call.arguments[:5], cookies[verdict]))
    assert bpf.evaluate(cookies.supervised(everything=everything), back.data) == verdict


@given(programs(sixth=False), calls, st.booleans(), st.sampled_from(VERDICTS))
def test_a_cookie_does_nothing_to_any_other_call(
    program: list[bpf.Instruction], call: Call, upper_half: bool, wanted: int
) -> None:
    """Nor does it with anything in the upper half of the register."""
    cookies = Cookies([*program, bpf.verdict(wanted)])
    verdict = bpf.evaluate(program, call.data)
    if not is_the_kernels(wanted) or (verdict == wanted and not upper_half):
        return
    with_it = Call(call.arch, call.number, (*call.arguments[:5], cookies[wanted] | upper_half << 32))
    expected = RET_ALLOW if verdict == RET_ALLOW else RET_USER_NOTIF
    assert bpf.evaluate(cookies.supervised(), with_it.data) == expected


def test_cookies_are_taken_for_nothing_else() -> None:
    program = [bpf.verdict(TRAP | data) for data in range(1000)]
    cookies = Cookies(program)
    numbers = [cookies[TRAP | data] for data in range(1000)]
    assert len(set(numbers)) == 1000
    assert all(number & 0x80000001 == 0x80000001 and number < 2**32 for number in numbers)
    assert Cookies(program)[TRAP] != cookies[TRAP]


def test_only_what_a_supervisor_cannot_do_has_one() -> None:
    cookies = Cookies([bpf.verdict(value) for value in VERDICTS])
    for value in VERDICTS:
        if value in (KILL_PROCESS, KILL_THREAD, TRAP, TRAP | 7):
            assert cookies[value]
        else:
            with pytest.raises(KeyError):
                cookies[value]


def test_a_call_that_is_always_allowed_has_nothing_but_its_number_looked_at() -> None:
    """Or the kernel could not keep it in its cache of calls that are allowed."""
    program = [bpf.load(0), (bpf.IF_EQUAL, 0, 1, 41), bpf.verdict(KILL_PROCESS), bpf.verdict(RET_ALLOW)]
    supervised = Cookies(program).supervised()
    assert supervised[:2] == program[:2]
    assert supervised[3] == program[3]


def test_a_filter_that_becomes_too_long_is_refused() -> None:
    program = [bpf.verdict(KILL_PROCESS)] * (bpf.LONGEST_PROGRAM - 5)
    with pytest.raises(SeccompError, match="a filter of 4097 instructions, and the kernel takes 4096"):
        Cookies(program).supervised()
    assert len(Cookies(program[1:]).supervised()) == bpf.LONGEST_PROGRAM
