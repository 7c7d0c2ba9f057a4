"""Entries of `sandboxes`: read strictly, and written as they were."""

import json
from typing import Any

import pytest
from hypothesis import given
from traces import DENIED, X86_64, compact, final_sandbox, sandboxes, spooled_test

from pytest_seccomp.trace.records import Line
from pytest_seccomp.trace.sandboxes import Sandbox
from pytest_seccomp.trace.spool import SpoolParser

SPOOLED = {
    "argv": ["curl", "-s"],
    "policy": "deny @internet",
    "phase": "call",
    "complete": True,
    "syscalls": [[X86_64, 39, 2], [X86_64, 0, 1]],
    "denied": [DENIED],
}


@given(sandboxes)
def test_an_entry_is_written_as_json_writes_it(spooled: dict[str, Any]) -> None:
    expected = json.dumps(final_sandbox(spooled))
    assert json.dumps(Sandbox.from_spooled(spooled).members) == expected
    assert json.dumps(Sandbox.from_object(json.loads(expected)).members) == expected


def test_its_calls_are_sorted() -> None:
    sandbox = Sandbox.from_spooled(SPOOLED)
    assert [(entry["name"], entry["count"]) for entry in sandbox.syscalls] == [("read", 1), ("getpid", 2)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"argv": "curl"}, '"argv" cannot be "curl"'),
        ({"argv": ["curl", 1]}, '"argv" is a list of texts'),
        ({"policy": 1}, '"policy" cannot be 1'),
        ({"phase": "collection"}, 'unknown phase "collection"'),
        ({"complete": 1}, '"complete" cannot be 1'),
        ({"denied": [1]}, '"denied" cannot hold 1'),
        ({"denied": [{**DENIED, "count": -1}]}, '"count" cannot be -1'),
        ({"denied": [{**DENIED, "args": ["x"]}]}, '"args" are numbers'),
        ({"denied": [{**DENIED, "arch": None}]}, '"arch" cannot be null'),
    ],
)
def test_a_wrong_member_is_refused(change: dict[str, Any], reason: str) -> None:
    for read, entry in ((Sandbox.from_spooled, SPOOLED), (Sandbox.from_object, final_sandbox(SPOOLED))):
        with pytest.raises(ValueError) as caught:  # noqa: PT011  # compared below
            read({**entry, **change})
        assert str(caught.value) == reason


@pytest.mark.parametrize("name", SPOOLED)
def test_an_entry_that_lacks_a_member_is_refused(name: str) -> None:
    for read, entry in ((Sandbox.from_spooled, SPOOLED), (Sandbox.from_object, final_sandbox(SPOOLED))):
        with pytest.raises(ValueError, match=f'"{name}" is missing'):
            read({key: value for key, value in entry.items() if key != name})


@pytest.mark.parametrize("name", DENIED)
def test_a_denial_that_lacks_a_member_is_refused(name: str) -> None:
    denied = [{key: value for key, value in DENIED.items() if key != name}]
    with pytest.raises(ValueError, match=f'"{name}" is missing'):
        Sandbox.from_spooled({**SPOOLED, "denied": denied})


@pytest.mark.parametrize("call", [[X86_64, 0], [X86_64, 0, {"call": 1}], [X86_64, 0, -1], [X86_64, True, 1], {}])
def test_a_call_of_another_kind_is_refused(call: Any) -> None:
    with pytest.raises(ValueError, match='"syscalls" of a sandbox'):
        Sandbox.from_spooled({**SPOOLED, "syscalls": [call]})


def test_calls_of_a_file_are_checked_as_all_are() -> None:
    with pytest.raises(ValueError, match='"arch" is missing'):
        Sandbox.from_object({**SPOOLED, "syscalls": [{"count": 1}]})
    with pytest.raises(ValueError, match='"count" cannot be -1'):
        Sandbox.from_object({**SPOOLED, "syscalls": [{"syscall": 0, "name": "read", "arch": "x86_64", "count": -1}]})


def test_a_line_of_a_spool_without_the_member_had_none() -> None:
    line = SpoolParser()(compact(spooled_test("t.py::test", [])))
    assert isinstance(line, Line)
    assert line.sandboxes == []
    assert json.loads(line.format())["sandboxes"] == []


def test_a_line_of_a_file_has_the_member() -> None:
    members = json.loads(Line.format(SpoolParser()(compact(spooled_test("t.py::test", [])))))  # type: ignore[arg-type]
    del members["sandboxes"]
    with pytest.raises(ValueError, match='"sandboxes" is missing'):
        Line.from_object(members)
