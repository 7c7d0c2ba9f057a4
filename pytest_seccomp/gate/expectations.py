"""Which denials are expected: by a test's markers, by the ini file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.profile import groups
from pytest_seccomp.profile.given import names_in
from pytest_seccomp.trace.denials import Denial
from pytest_seccomp.trace.wanted import Wanted, named

MARKER = "seccomp_expect_denied"
INI = "seccomp_expected_denials"

_OF_SANDBOX = "expect_denied"

_EXAMPLE = f'@pytest.mark.{MARKER}("socket")'


@dataclass(slots=True, frozen=True)
class Expectation:
    """Calls of which a denial fails nothing: one, or those of a group."""

    text: str
    """As the user has named them."""
    calls: tuple[Wanted, ...]
    strict: bool = False
    """Whether it fails the test when no such denial comes."""
    with_argument: tuple[tuple[Wanted, int], ...] = ()
    """More calls, each only where its first argument, of 32 bits, has a value."""

    def is_met_by(self, denial: Denial) -> bool:
        """Whether that is expected by this."""
        return any(call.is_met_by(denial.arch, denial.syscall, denial.name) for call in self.calls) or any(
            denial.args is not None
            and denial.args[0] & 0xFFFFFFFF == value
            and call.is_met_by(denial.arch, denial.syscall, denial.name)
            for call, value in self.with_argument
        )


def of_marker(args: Sequence[object], kwargs: Mapping[str, object], where: str) -> list[Expectation]:
    """What a marker `seccomp_expect_denied("socket", ..., strict=False)` says. Raises SeccompError, which names the
    test (`where`), what is wrong and what to write."""
    origin = f"{where}: @pytest.mark.{MARKER}"
    unknown = sorted(set(kwargs) - {"strict"})
    if unknown:
        raise SeccompError(f"{origin} knows no {unknown[0]}=, only strict=")
    strict = kwargs.get("strict", False)
    if not isinstance(strict, bool):
        raise SeccompError(f"{origin}: strict={strict!r} is neither True nor False")
    if not args:
        raise SeccompError(f"{origin} names no call: write which, as in {_EXAMPLE}")
    return [_expectation(value, strict, origin) for value in args]


def of_ini(values: Sequence[str]) -> list[Expectation]:
    """What the ini option `seccomp_expected_denials` says. Raises SeccompError, as `of_marker`."""
    return [_expectation(value, False, f"ini option {INI}") for value in values]


def of_sandbox(values: object) -> list[Expectation]:
    """What `expect_denied=` of a sandbox says, whose denials have their arguments. Raises SeccompError, as
    `of_marker`."""
    return [_expectation(value, False, _OF_SANDBOX) for value in names_in(values, _OF_SANDBOX)]


def _expectation(given: object, strict: bool, origin: str) -> Expectation:
    value = named(given)
    if value is None:
        raise SeccompError(f"{origin}: {given!r} is no name of a call: write them one by one, as in {_EXAMPLE}")
    if "," in value or len(value.split()) > 1:
        apart = (
            "write them without commas" if origin.endswith(INI) else 'write each in quotes of its own: "socket", "bind"'
        )
        raise SeccompError(f"{origin}: {value!r} is more than one name: {apart}")
    try:
        if origin == _OF_SANDBOX and value.startswith("@"):
            members = sorted(groups.find(value).members())
            any_argument = tuple(Wanted.parse(member.name) for member in members if member.value is None)
            others = tuple((Wanted.parse(one.name), one.value) for one in members if one.value is not None)
            return Expectation(value, any_argument, with_argument=others)
        return Expectation(value, _group(value) if value.startswith("@") else (_call(value),), strict)
    except SeccompError as error:
        raise SeccompError(f"{origin}: {error}") from None


def _call(name: str) -> Wanted:
    call = Wanted.parse(name)
    call.check_known()
    return call


def _group(name: str) -> tuple[Wanted, ...]:
    members = groups.find(name).members()
    by_argument = sorted({member.name for member in members if member.argument})
    if by_argument:
        names = " and ".join(by_argument)
        raise SeccompError(
            f"{name} tells calls apart by their arguments, which the kernel's log does not have: name {names} instead"
        )
    return tuple(Wanted.parse(member.name) for member in sorted(members))
