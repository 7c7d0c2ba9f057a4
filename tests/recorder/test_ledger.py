"""The ledger: counts by label become the spool's lines."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pytest_seccomp.linux.architecture import I386, X86_64
from pytest_seccomp.recorder import labels
from pytest_seccomp.recorder.ledger import Ledger
from pytest_seccomp.recorder.spool import Spool

BASE = labels.FIRST_TEST
GETPID = X86_64.audit_arch << 32 | 39
READ = X86_64.audit_arch << 32
EXIT_I386 = I386.audit_arch << 32 | 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.ndjson"


@pytest.fixture
def ledger(path: Path) -> Ledger:
    return Ledger(Spool(str(path)), '"gw0"', '"notify"')


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def test_a_test_line_to_the_letter(ledger: Ledger, path: Path) -> None:
    ledger.begin(BASE, '"t.py::a"', 2)
    ledger.counts(BASE + labels.CALL)[GETPID] = 1000
    ledger.end(BASE, '"passed"')
    assert path.read_text(encoding="ascii") == (
        '{"kind":"test","nodeid":"t.py::a","outcome":"passed","worker":"gw0","rerun":2,"backend":"notify",'
        '"complete":true,"lost":0,"syscalls":[[3221225534,39,{"call":1000}]]}\n'
    )


def test_phases_are_in_order_whenever_they_were_counted(ledger: Ledger, path: Path) -> None:
    ledger.begin(BASE, '"a"', 0)
    for offset in (labels.SHARED, labels.TEARDOWN, labels.CALL, labels.SETUP):
        ledger.counts(BASE + offset)[GETPID] = offset + 1
    ledger.end(BASE, '"passed"')
    assert '{"setup":1,"call":2,"teardown":3,"shared":4}' in path.read_text()


def test_each_architecture_and_number_has_an_entry(ledger: Ledger, path: Path) -> None:
    ledger.begin(BASE, '"a"', 0)
    ledger.counts(BASE + labels.SETUP).update({READ: 1, EXIT_I386: 2})
    ledger.counts(BASE + labels.CALL).update({GETPID: 3, READ: 4})
    ledger.end(BASE, '"passed"')
    assert sorted(lines(path)[0]["syscalls"]) == [
        [I386.audit_arch, 1, {"setup": 2}],
        [X86_64.audit_arch, 0, {"setup": 1, "call": 4}],
        [X86_64.audit_arch, 39, {"call": 3}],
    ]


@pytest.mark.parametrize(
    ("bits", "number"),
    [(0xFFFFFFFF, -1), (0x80000000, -(2**31)), (0x7FFFFFFF, 2**31 - 1), (0x40000000, 2**30)],
)
def test_numbers_are_signed_as_the_kernel_has_them(ledger: Ledger, path: Path, bits: int, number: int) -> None:
    ledger.begin(BASE, '"a"', 0)
    ledger.counts(BASE + labels.CALL)[X86_64.audit_arch << 32 | bits] = 1
    ledger.end(BASE, '"failed"')
    assert lines(path)[0]["syscalls"] == [[X86_64.audit_arch, number, {"call": 1}]]


@pytest.mark.parametrize("text", ['quoted " and \\', "lone \udcff", "new\nline", "\U0001f600"])
def test_nodeids_may_hold_any_text(ledger: Ledger, path: Path, text: str) -> None:
    ledger.begin(BASE, json.dumps(text), 0)
    ledger.end(BASE, '"passed"')
    assert [line["nodeid"] for line in lines(path)] == [text]


def test_counts_of_a_test_leave_with_its_line(ledger: Ledger, path: Path) -> None:
    ledger.begin(BASE, '"a"', 0)
    ledger.counts(BASE + labels.CALL)[GETPID] = 1
    ledger.end(BASE, '"rerun"')
    ledger.begin(labels.next_base(BASE), '"a"', 1)
    ledger.end(labels.next_base(BASE), '"passed"')
    assert [line["syscalls"] for line in lines(path)] == [[[X86_64.audit_arch, 39, {"call": 1}]], []]
    assert ledger.counts(BASE + labels.CALL) == {}


def test_a_test_that_did_not_end_has_no_outcome_and_is_incomplete(ledger: Ledger, path: Path) -> None:
    ledger.begin(BASE, '"a"', 0)
    ledger.counts(BASE + labels.CALL)[GETPID] = 7
    ledger.begin(labels.next_base(BASE), '"b"', 0)
    ledger.close(["pytest was killed"])
    first, second, *_ = lines(path)
    assert (first["nodeid"], first["outcome"], first["complete"]) == ("a", None, False)
    assert first["syscalls"] == [[X86_64.audit_arch, 39, {"call": 7}]]
    assert (second["nodeid"], second["outcome"], second["complete"]) == ("b", None, False)


@pytest.mark.parametrize("nodeid", ["t.py::a", 'quoted " and \\', "lone \udcff"])
def test_the_test_that_did_not_finish_is_named(ledger: Ledger, path: Path, nodeid: str) -> None:
    """In the spool; whoever asks for the end hears of what could not be recorded, and that is something else."""
    ledger.begin(BASE, json.dumps(nodeid), 0)
    reasons: list[str] = []
    assert ledger.close(reasons) is True
    assert reasons == []
    *_, harness, end = lines(path)
    assert harness["complete"] is True
    assert end == {"kind": "end", "complete": False, "lost": 0, "reasons": [f"{nodeid} did not finish"]}


def test_the_end_of_another_test_ends_nothing(ledger: Ledger, path: Path) -> None:
    ledger.begin(BASE, '"a"', 0)
    ledger.end(labels.next_base(BASE), '"passed"')
    assert lines(path) == []
    ledger.end(BASE, '"failed"')
    ledger.end(BASE, '"passed"')
    assert [line["outcome"] for line in lines(path)] == ["failed"]


def test_collection_harness_and_end(ledger: Ledger, path: Path) -> None:
    ledger.counts(labels.COLLECTION)[READ] = 12
    ledger.counts(labels.HARNESS)[GETPID] = 3
    ledger.collected()
    assert [line["kind"] for line in lines(path)] == ["collect"]
    assert ledger.close([]) is True
    head = {"worker": "gw0", "backend": "notify", "complete": True, "lost": 0}
    assert lines(path) == [
        {"kind": "collect", **head, "syscalls": [[X86_64.audit_arch, 0, {"collection": 12}]]},
        {"kind": "harness", **head, "syscalls": [[X86_64.audit_arch, 39, {"harness": 3}]]},
        {"kind": "end", "complete": True, "lost": 0, "reasons": []},
    ]


def test_reasons_are_in_the_end_and_make_it_incomplete(ledger: Ledger, path: Path) -> None:
    assert ledger.close(['a "reason"', "\udcff"]) is False
    *_, harness, end = lines(path)
    assert harness["complete"] is False
    assert end == {"kind": "end", "complete": False, "lost": 0, "reasons": ['a "reason"', "\udcff"]}


def test_a_spool_that_somebody_has_emptied_makes_it_incomplete(ledger: Ledger, path: Path) -> None:
    """What is left of it is whole."""
    ledger.begin(BASE, '"t.py::a"', 0)
    ledger.end(BASE, '"passed"')
    os.truncate(path, 0)
    ledger.begin(BASE, '"t.py::b"', 0)
    ledger.end(BASE, '"passed"')
    reason = f"{path}: somebody has changed what was recorded"
    reasons: list[str] = []
    assert ledger.close(reasons) is False
    assert reasons == [reason]
    test, *_, end = lines(path)
    assert test["nodeid"] == "t.py::b"
    assert end == {"kind": "end", "complete": False, "lost": 0, "reasons": [reason]}


def test_a_ledger_is_closed_once_and_counts_nothing_after_it(ledger: Ledger, path: Path) -> None:
    assert ledger.close([]) is True
    written = path.read_text()
    ledger.counts(labels.HARNESS)[GETPID] = 1
    assert ledger.counts(labels.HARNESS) == {}
    assert ledger.close(["too late"]) is False
    assert path.read_text() == written


def test_calls_that_are_missing(ledger: Ledger, path: Path) -> None:
    """In the line of what was recorded at the time, in that of the harness, and in all."""
    ledger.miss(3)
    ledger.collected()
    for base, missed in ((BASE, 5), (BASE + 4, None)):
        ledger.begin(base, '"a"', 0)
        ledger.miss(missed)
        ledger.end(base, '"passed"')
        ledger.begin(base + 40, '"b"', 0)
        ledger.end(base + 40, '"passed"')
    assert not ledger.close(["some are missing"])
    assert [(line["kind"], line["complete"], line["lost"]) for line in lines(path)] == [
        ("collect", False, 3),
        ("test", False, 5),
        ("test", True, 0),
        ("test", False, None),
        ("test", True, 0),
        ("harness", False, None),
        ("end", False, None),
    ]


def test_calls_that_are_missing_between_tests(ledger: Ledger, path: Path) -> None:
    ledger.collected()
    ledger.miss(2)
    ledger.begin(BASE, '"a"', 0)
    ledger.end(BASE, '"passed"')
    ledger.miss(1)
    ledger.close(["some are missing"])
    found = [(line["kind"], line["complete"], line["lost"]) for line in lines(path)]
    assert found == [("collect", True, 0), ("test", True, 0), ("harness", False, 3), ("end", False, 3)]


class FullAfter(Spool):
    """A spool on a disk that is full after some lines."""

    __slots__ = ("lines",)

    def __init__(self, path: str, lines: int) -> None:
        super().__init__(path)
        self.lines = lines

    def write(self, line: str) -> None:
        """Write it or note the error."""
        self.lines -= 1
        if self.lines >= 0:
            super().write(line)
        else:
            self.error = "disk full"


@pytest.mark.parametrize("fitting", [0, 1, 2])
def test_a_line_that_was_not_written_is_a_reason(path: Path, fitting: int) -> None:
    """Also where it is the last one, which would have said that all is there."""
    reasons: list[str] = []
    assert Ledger(FullAfter(str(path), fitting), "null", '"notify"').close(reasons) is False
    assert reasons == ["disk full"]
    assert len(lines(path)) == fitting


def test_what_a_sandbox_did_is_counted_and_told_of_to_the_letter(ledger: Ledger, path: Path) -> None:
    ledger.begin(BASE, '"t.py::a"', 0)
    ledger.counts(BASE + labels.CALL)[GETPID] = 1000
    ledger.sandbox(BASE + labels.CALL, '["id","-u"]', "null", "[]", True, {GETPID: 1, EXIT_I386: 2})
    ledger.end(BASE, '"passed"')
    ledger.begin(labels.next_base(BASE), '"t.py::b"', 0)
    ledger.end(labels.next_base(BASE), '"passed"')
    first, second = path.read_text(encoding="ascii").splitlines()
    assert first == (
        '{"kind":"test","nodeid":"t.py::a","outcome":"passed","worker":"gw0","rerun":0,"backend":"notify",'
        '"complete":true,"lost":0,"syscalls":[[3221225534,39,{"call":1001}],[1073741827,1,{"call":2}]],'
        '"sandboxes":[{"argv":["id","-u"],"policy":null,"phase":"call","complete":true,'
        '"syscalls":[[3221225534,39,1],[1073741827,1,2]],"denied":[]}]}'
    )
    assert "sandboxes" not in second


def test_each_phase_of_a_sandbox_is_an_entry(ledger: Ledger, path: Path) -> None:
    ledger.begin(BASE, '"a"', 0)
    for offset in (labels.SETUP, labels.SHARED):
        ledger.sandbox(BASE + offset, '["x"]', '"deny @internet"', "[]", True, {GETPID: offset + 1})
    ledger.end(BASE, '"passed"')
    (line,) = lines(path)
    assert [(entry["phase"], entry["policy"]) for entry in line["sandboxes"]] == [
        ("setup", "deny @internet"),
        ("shared", "deny @internet"),
    ]
    assert line["syscalls"] == [[X86_64.audit_arch, 39, {"setup": 1, "shared": 4}]]


@pytest.mark.parametrize("label", [labels.HARNESS, BASE])
def test_a_sandbox_outside_of_a_test_counts_for_what_surrounds_it(ledger: Ledger, path: Path, label: int) -> None:
    """Also where its test has ended meanwhile."""
    ledger.begin(BASE, '"a"', 0)
    ledger.end(BASE, '"passed"')
    ledger.sandbox(label, '["x"]', "null", "[]", True, {GETPID: 5})
    assert ledger.close([]) is True
    test, _, harness, _ = lines(path)
    assert test["syscalls"] == []
    assert harness["syscalls"] == [[X86_64.audit_arch, 39, {"harness": 5}]]
    assert "sandboxes" not in harness


def test_a_sandbox_while_collecting(ledger: Ledger, path: Path) -> None:
    ledger.sandbox(labels.COLLECTION, '["x"]', "null", "[]", True, {GETPID: 5})
    ledger.collected()
    assert lines(path)[0]["syscalls"] == [[X86_64.audit_arch, 39, {"collection": 5}]]


def test_a_sandbox_that_was_not_seen_in_full_makes_its_test_incomplete(ledger: Ledger, path: Path) -> None:
    for base, complete in ((BASE, False), (labels.next_base(BASE), True)):
        ledger.begin(base, '"a"', 0)
        ledger.sandbox(base + labels.CALL, '["curl"]', "null", "[]", complete, {GETPID: 1})
        ledger.end(base, '"passed"')
    assert ledger.close([]) is True
    first, second, _, harness, end = lines(path)
    assert (first["complete"], first["lost"], first["sandboxes"][0]["complete"]) == (False, None, False)
    assert (second["complete"], second["lost"]) == (True, 0)
    assert harness["complete"] is True
    assert (end["complete"], end["lost"]) == (False, None)
    assert end["reasons"] == ['calls of a program in a sandbox may be missing: ["curl"]']


def test_a_block_counts_what_its_test_makes_meanwhile(ledger: Ledger) -> None:
    ledger.begin(BASE, '"a"', 0)
    ledger.counts(BASE + labels.SETUP)[READ] = 5
    ledger.counts(BASE + labels.CALL)[GETPID] = 2
    ledger.open_block(1, BASE)
    ledger.counts(BASE + labels.CALL)[GETPID] = 12
    ledger.counts(BASE + labels.TEARDOWN).update({GETPID: 3, READ: 1})
    ledger.counts(labels.HARNESS)[READ] = 100
    assert ledger.close_block(1) == ({GETPID: 13, READ: 1}, True)
    assert ledger.close_block(1)[0] == {}


def test_a_block_in_which_calls_were_missed_is_incomplete(ledger: Ledger) -> None:
    ledger.begin(BASE, '"a"', 0)
    ledger.miss(2)
    ledger.open_block(1, BASE)
    ledger.open_block(2, BASE)
    assert ledger.close_block(1) == ({}, True)
    ledger.miss(None)
    assert ledger.close_block(2) == ({}, False)


def test_a_block_does_not_outlast_its_test(ledger: Ledger) -> None:
    ledger.begin(BASE, '"a"', 0)
    ledger.open_block(1, BASE)
    ledger.end(BASE, '"passed"')
    ledger.counts(BASE + labels.CALL)[GETPID] = 1
    assert ledger.close_block(1) == ({}, False)


def test_what_somebody_else_has_seen_is_counted(ledger: Ledger, path: Path) -> None:
    ledger.begin(BASE, '"a"', 0)
    ledger.counts(BASE + labels.CALL)[GETPID] = 1
    ledger.add(BASE + labels.CALL, {GETPID: 2, READ: 3})
    assert ledger.of_test(BASE) == [{}, {GETPID: 3, READ: 3}, {}, {}]
    ledger.end(BASE, '"passed"')
    assert [entry[1:] for entry in lines(path)[0]["syscalls"]] == [[39, {"call": 3}], [0, {"call": 3}]]
