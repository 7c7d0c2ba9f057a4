"""Denials in their files."""

import json
from pathlib import Path
from typing import Any

import pytest
from denials import MEMBERS, X86_64, denial
from hypothesis import given
from hypothesis import strategies as st

from pytest_seccomp.trace.denials import PHASES, Denial, Spooled

END = '{"kind":"end","complete":true,"reasons":[]}\n'

SPOOLED = (
    '{"kind":"denial","nodeid":"t.py::test_a","phase":"call","rerun":0,"worker":null,"arch":3221225534,"syscall":41,'
    '"count":1,"action":"errno","errno":null,"pid":4711,"comm":"curl","exe":"/usr/bin/curl","args":null,'
    '"source":"audit","expected":false}\n'
)
"""As the watcher writes it."""

names = st.text(st.characters(codec=None))  # lone surrogates, too
texts_or_null = st.none() | names
denials = st.builds(
    denial,
    nodeid=texts_or_null,
    phase=st.sampled_from(PHASES),
    rerun=st.integers(0, 99),
    count=st.integers(1, 2**40),
    action=names,
    errno=st.none() | st.sampled_from(["EPERM"]),
    pid=st.integers(0, 2**22),
    comm=names,
    exe=texts_or_null,
    args=st.none() | st.tuples(*[st.integers(0, 2**64 - 1)] * 6),
    expected=st.booleans(),
    notes=st.lists(names, max_size=2).map(tuple),
    paths=st.dictionaries(st.integers(0, 5), names, max_size=2).map(lambda found: tuple(found.items())),
    exact=st.booleans(),
)


def spool(folder: Path, *lines: str, name: str = "pytest-1.ndjson") -> Path:
    """A spool with these lines."""
    path = folder / name
    path.write_text("".join(lines), encoding="ascii")
    return path


def test_a_line_of_a_deny_log() -> None:
    assert denial().format() == json.dumps(MEMBERS) + "\n"
    assert list(json.loads(denial().format())) == list(MEMBERS)


def test_notes_are_in_the_line_only_where_there_are_any() -> None:
    assert json.loads(denial(notes=("why",)).format()) == {**MEMBERS, "notes": ["why"]}


@given(denials)
def test_a_line_means_what_was_written(one: Denial) -> None:
    assert Denial.from_object(json.loads(one.format())) == one
    assert Denial.from_spooled(json.loads(one.format_spooled("gw0"))) == one


def test_a_spooled_line_is_named_when_it_is_read(tmp_path: Path) -> None:
    found = Spooled.read([spool(tmp_path, SPOOLED, END)])
    assert found == Spooled([denial()], [])
    assert found.complete


@pytest.mark.parametrize(
    ("audit_arch", "number", "arch", "name"),
    [(0x40000003, 102, "i386", "socketcall"), (X86_64, 0x40000029, "x32", "socket"), (0x1234, 41, "0x00001234", None)],
)
def test_the_architecture_of_the_call(audit_arch: int, number: int, arch: str, name: str | None) -> None:
    members = {**json.loads(SPOOLED), "arch": audit_arch, "syscall": number}
    found = Denial.from_spooled(members)
    assert (found.arch, found.syscall, found.name) == (arch, number, name)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"phase": "shared"}, 'unknown phase "shared"'),
        ({"pid": -1}, '"pid" cannot be -1'),
        ({"comm": None}, '"comm" cannot be null'),
        ({"expected": 1}, '"expected" cannot be 1'),
        ({"args": ["1"]}, '"args" are numbers'),
        ({"paths": {"6": "/"}}, '"paths" are texts by the index of an argument'),
        ({"paths": {"1": None}}, '"paths" are texts by the index of an argument'),
        ({"exact": None}, '"exact" cannot be null'),
        ({"notes": [1]}, '"notes" is a list of texts'),
        ({"syscall": "41"}, '"syscall" cannot be "41"'),
    ],
)
def test_a_wrong_member_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Denial.from_object({**MEMBERS, **change})


@pytest.mark.parametrize("name", MEMBERS)
def test_a_missing_member_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f'"{name}" is missing'):
        Denial.from_object({key: value for key, value in MEMBERS.items() if key != name})


def test_spools_are_read_in_their_order(tmp_path: Path) -> None:
    one = spool(tmp_path, denial(pid=1).format_spooled(None), denial(pid=2).format_spooled(None), END)
    other = spool(tmp_path, denial(pid=3).format_spooled("gw0"), END, name="gw0-1.ndjson")
    assert [found.pid for found in Spooled.read([one, other]).denials] == [1, 2, 3]


@pytest.mark.parametrize(
    ("lines", "reasons", "count"),
    [
        ((), ["the watcher of the kernel's log did not come to its end"], 0),
        ((SPOOLED,), ["the watcher of the kernel's log did not come to its end"], 1),
        ((SPOOLED, SPOOLED[:99]), ["the watcher of the kernel's log did not come to its end"], 1),
        ((SPOOLED, END[:-1]), ["the watcher of the kernel's log did not come to its end"], 1),
        ((END, SPOOLED), ["the watcher of the kernel's log did not come to its end"], 1),
        (("rubbish\n", SPOOLED, END), ["what the watcher of the kernel's log wrote is damaged in 1 places"], 1),
        ((SPOOLED, '{"kind":"end","complete":false,"reasons":["lost 5","lost 6"]}\n'), ["lost 5", "lost 6"], 1),
        (
            ('{"kind":"end","complete":false,"reasons":[]}\n',),
            ["the watcher of the kernel's log has not seen all"],
            0,
        ),
    ],
)
def test_what_is_not_whole_is_incomplete(
    tmp_path: Path, lines: tuple[str, ...], reasons: list[str], count: int
) -> None:
    found = Spooled.read([spool(tmp_path, *lines)])
    assert not found.complete
    assert found.reasons == reasons
    assert len(found.denials) == count


def test_a_worker_is_named_with_its_reasons(tmp_path: Path) -> None:
    found = Spooled.read([spool(tmp_path, name="gw1-1.ndjson"), spool(tmp_path, END)])
    assert found.reasons == ["gw1: the watcher of the kernel's log did not come to its end"]


def test_a_spool_that_is_gone_is_a_reason(tmp_path: Path) -> None:
    found = Spooled.read([tmp_path / "gone-1.ndjson"])
    assert "No such file or directory (ENOENT)" in found.reasons[0]
