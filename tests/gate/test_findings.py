"""A call outside a profile in words."""

from dataclasses import replace
from pathlib import Path

import profiles
import pytest

from pytest_seccomp.gate.allowed import Allowed
from pytest_seccomp.gate.findings import Finding, headline, report, shortened, to_add

FOUND = Finding("t.py::a", "call", 0, 42, "connect", "x86_64", 2, 4711, "curl", "/usr/bin/curl")
NAMELESS = Finding("t.py::a", "shared", 0, 4000, None, "x86_64", 1, None, None, None)


@pytest.fixture
def allowed(tmp_path: Path) -> Allowed:
    """Nothing is."""
    return Allowed.read(profiles.write(tmp_path / "p.json"))


def test_the_report_of_a_phase(allowed: Allowed) -> None:
    assert report([FOUND, NAMELESS], allowed, "p.json").splitlines() == [
        "system calls that p.json does not allow: connect by curl, x86_64:4000",
        "",
        "In the call of t.py::a:",
        "    connect, 2 times: the first by curl[4711], /usr/bin/curl",
        "In fixtures of wider scope, during t.py::a:",
        "    x86_64:4000: by a process that is not known",
        "If that is right, add to p.json, or run with --seccomp-update-profile:",
        '    + "connect"  # t.py::a, call, curl[4711]',
        f"    x86_64:4000 ({NAMELESS.place()}) cannot be added: it has no name, and profiles have names alone",
    ]


def test_no_update_is_advised_that_would_add_nothing(allowed: Allowed) -> None:
    assert report([NAMELESS], allowed, "p.json").splitlines()[-2:] == [
        "--seccomp-update-profile would not help:",
        f"    x86_64:4000 ({NAMELESS.place()}) cannot be added: it has no name, and profiles have names alone",
    ]


def test_the_place_of_a_run_that_was_repeated() -> None:
    assert replace(NAMELESS, rerun=1).place() == "t.py::a, shared, rerun 1, a process that is not known"


def test_what_a_process_calls_itself_cannot_act_on_a_terminal(allowed: Allowed) -> None:
    evil = replace(FOUND, comm="\x1b[31m\n", exe="/tmp/\udcff")
    text = report([evil], allowed, "p.json")
    assert "\x1b" not in text
    assert r"\x1b[31m\n[4711], /tmp/\udcff" in text
    assert Finding.from_members(evil.members).process == r"\x1b[31m\n[4711]"


def test_a_call_of_another_architecture_takes_two_lines(allowed: Allowed) -> None:
    lines = list(to_add(replace(FOUND, arch="i386", nodeid=None, phase="collection"), allowed))
    assert [line.partition("  #")[0] for line in lines] == ['+ "SCMP_ARCH_X86"', '+ "connect"']
    assert lines[1].endswith("  # collection, curl[4711]")


def test_many_are_shortened() -> None:
    four = [replace(FOUND, name=name) for name in "abcde"]
    assert headline(four, "p").endswith("a by curl, b by curl, c by curl and 2 more")
    assert list(shortened(["a"] * 3, 2)) == ["a, a and 1 more, which -v shows"]
    assert list(shortened(["x" * 60, "y" * 60], None)) == ["x" * 60 + ",", "y" * 60]
