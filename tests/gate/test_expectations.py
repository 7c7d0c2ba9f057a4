"""What a marker and the ini file say is expected, and what is wrong with it."""

import pytest
from denials import denial

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.gate.expectations import of_ini, of_marker

TEST = "t.py::test_a"


def test_a_marker_names_calls() -> None:
    found = of_marker(("socket", "i386:socketcall", "0x101", 41), {}, TEST)
    assert [expectation.text for expectation in found] == ["socket", "i386:socketcall", "0x101", "41"]
    assert [expectation.strict for expectation in found] == [False] * 4
    assert found[3].is_met_by(denial())


@pytest.mark.parametrize("strict", [True, False])
def test_strict_is_for_all_its_calls(strict: bool) -> None:
    assert [one.strict for one in of_marker(("socket", "bind"), {"strict": strict}, TEST)] == [strict, strict]


def test_a_group_is_each_of_its_calls() -> None:
    (found,) = of_marker(("@mount",), {"strict": True}, TEST)
    assert (found.text, found.strict) == ("@mount", True)
    assert found.is_met_by(denial(name="mount", syscall=165))
    assert found.is_met_by(denial(name="umount2", syscall=166))
    assert not found.is_met_by(denial())


def test_the_ini_file_names_calls_and_is_never_strict() -> None:
    found = of_ini(["socket", "bind"])
    assert [(expectation.text, expectation.strict) for expectation in found] == [
        ("socket", False),
        ("bind", False),
    ]


def test_nothing_in_the_ini_file() -> None:
    assert of_ini([]) == []


@pytest.mark.parametrize(
    ("arguments", "keywords", "reason"),
    [
        ((), {}, 'names no call: write which, as in @pytest.mark.seccomp_expect_denied("socket")'),
        (("opnat",), {}, "no system call is named 'opnat': did you mean openat"),
        (("",), {}, "no system call is named ''"),
        (("x87:socket",), {}, "unknown architecture 'x87': name one as in x86_64:257, or leave it out"),
        ((True,), {}, "True is no name of a call: write them one by one"),
        ((["socket", "bind"],), {}, "['socket', 'bind'] is no name of a call: write them one by one"),
        ((None,), {}, "None is no name of a call"),
        (("socket, bind",), {}, "'socket, bind' is more than one name: write each in quotes of its own"),
        (("socket bind",), {}, "'socket bind' is more than one name: write each in quotes of its own"),
        (("@mont",), {}, "no group of system calls is named '@mont': did you mean @mount?"),
        (("@internet",), {}, "which the kernel's log does not have: name socket instead"),
        (("socket",), {"strikt": True}, "knows no strikt=, only strict="),
        (("socket",), {"strict": 1}, "strict=1 is neither True nor False"),
    ],
)
def test_a_wrong_marker_is_one_line_with_the_test(
    arguments: tuple[object, ...], keywords: dict[str, object], reason: str
) -> None:
    with pytest.raises(SeccompError) as raised:
        of_marker(arguments, keywords, TEST)
    text = str(raised.value)
    assert text.startswith(f"{TEST}: @pytest.mark.seccomp_expect_denied")
    assert reason in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("opnat", "no system call is named 'opnat': did you mean openat"),
        ("socket,", "'socket,' is more than one name: write them without commas"),
        ("@", "no group of system calls is named '@': pytest-seccomp groups lists them"),
    ],
)
def test_a_wrong_ini_option_is_one_line_with_its_name(value: str, reason: str) -> None:
    with pytest.raises(SeccompError) as raised:
        of_ini(["bind", value])
    assert str(raised.value).startswith("ini option seccomp_expected_denials: ")
    assert reason in str(raised.value)
