"""Which denials are expected: by a test's markers, by the ini file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.trace.wanted import Wanted

MARKER = "seccomp_expect_denied"
INI = "seccomp_expected_denials"

_EXAMPLE = f'@pytest.mark.{MARKER}("socket")'


@dataclass(slots=True, frozen=True)
class Expectation:
    """A call whose denial fails nothing."""

    call: Wanted
    strict: bool = False
    """Whether it fails the test when the denial does not come."""


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
    return [Expectation(call, strict) for call in _calls(args, origin)]


def of_ini(values: Sequence[str]) -> list[Expectation]:
    """What the ini option `seccomp_expected_denials` says. Raises SeccompError, as `of_marker`."""
    return [Expectation(call) for call in _calls(values, f"ini option {INI}")]


def _calls(values: Sequence[object], origin: str) -> Iterator[Wanted]:
    for value in values:
        if not isinstance(value, str):
            raise SeccompError(f"{origin}: {value!r} is no name of a call: write them one by one, as in {_EXAMPLE}")
        if value.startswith("@"):
            raise SeccompError(f"{origin}: {value!r}: groups of calls are not known yet: name the calls")
        if "," in value or len(value.split()) > 1:
            raise SeccompError(f"{origin}: {value!r} is more than one name: {_apart(origin)}")
        try:
            call = Wanted.parse(value)
            call.check_known()
        except SeccompError as error:
            raise SeccompError(f"{origin}: {error}") from None
        yield call


def _apart(origin: str) -> str:
    return "write them without commas" if origin.endswith(INI) else 'write each in quotes of its own: "socket", "bind"'
