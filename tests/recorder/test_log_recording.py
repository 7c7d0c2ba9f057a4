"""What the recorder makes of a kernel's log that is made up: in it all can be lost, late, or somebody else's."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up_log import PID, SESSION, MadeUp
from printed import record as printed_record
from running import until

from pytest_seccomp.linux.architecture import I386, native
from pytest_seccomp.linux.seccomp_record import RECORD_TYPE
from pytest_seccomp.recorder import labels, log_scope, protocol

ARCH = native().audit_arch
BASE = labels.FIRST_TEST
CALL = BASE + labels.CALL
GETPID = 39
REMEDY = "run the tests on a machine that is less busy, or use the backend notify"
ERRNO, KILL = 0x50000, 0x80000000


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MadeUp]:
    made = MadeUp(tmp_path, monkeypatch, os.getpid())
    yield made
    made.close()


@pytest.fixture
def impatient(made_up: MadeUp) -> None:
    """What does not come is given up in the end."""
    made_up.gives_up = True


def one_test(made_up: MadeUp, base: int = BASE) -> None:
    """A test begins; its call phase is on."""
    made_up.ring(base + labels.SETUP, ("begin", base, f'"test{base}"', 0))
    made_up.mark(base + labels.CALL)


def finish(made_up: MadeUp, *messages: tuple[object, ...], **record: Any) -> protocol.Message:
    """The test and the session end in good order."""
    made_up.ring(labels.HARNESS, ("end", BASE, '"passed"'), *messages, ("finish",), **record)
    return made_up.answer_to_finish(lambda: made_up.ring(labels.HARNESS, **record))


def calls(made_up: MadeUp, kind: str = "test", index: int = 0) -> dict[int, dict[str, int]]:
    """The counts of a line of the spool."""
    line = [line for line in made_up.lines() if line["kind"] == kind][index]
    return {number: phases for _, number, phases in line["syscalls"]}


def complete(made_up: MadeUp) -> list[tuple[str, bool, int | None]]:
    """Of each line: its kind, whether it is complete, how many are lost."""
    return [(line["kind"], line["complete"], line["lost"]) for line in made_up.lines()]


COMPLETE = [("test", True, 0), ("collect", True, 0), ("harness", True, 0), ("end", True, 0)]


def test_calls_count_for_the_label_of_the_marker_before_them(made_up: MadeUp) -> None:
    made_up.attach()
    made_up.call(2)
    made_up.mark(labels.COLLECTION)
    made_up.call(3, 3)
    made_up.ring(BASE + labels.SETUP, ("collected",), ("begin", BASE, '"a"', 0))
    made_up.call(GETPID, 4)
    made_up.mark(CALL)
    made_up.call(GETPID, 5)
    made_up.mark(BASE + labels.TEARDOWN)
    made_up.call(GETPID, 6)
    made_up.mark(BASE + labels.SHARED)
    made_up.call(1)
    assert finish(made_up) == ("finished", True, 0, [])
    assert calls(made_up, "collect") == {3: {"collection": 3}}
    assert calls(made_up) == {GETPID: {"setup": 4, "call": 5, "teardown": 6}, 1: {"shared": 1}}
    assert calls(made_up, "harness") == {2: {"harness": 1}}
    assert sorted(complete(made_up)) == sorted(COMPLETE)


def test_calls_are_told_apart_by_architecture_and_all_their_bits(made_up: MadeUp) -> None:
    made_up.attach()
    one_test(made_up)
    made_up.call(20, audit_arch=I386.audit_arch, compat=True)
    made_up.call(20)
    made_up.call(-1)
    made_up.call(0x40000014)
    finish(made_up)
    assert sorted(made_up.lines()[0]["syscalls"]) == sorted(
        [
            [I386.audit_arch, 20, {"call": 1}],
            [ARCH, 20, {"call": 1}],
            [ARCH, -1, {"call": 1}],
            [ARCH, 0x40000014, {"call": 1}],
        ]
    )


@pytest.mark.parametrize("session", [0, 1, 70, 77, 17, 0xFFFFFFFF])
def test_other_sessions_do_not_count(made_up: MadeUp, session: int) -> None:
    """Not one that has our number in its own, either."""
    made_up.attach()
    one_test(made_up)
    made_up.call(GETPID, 2)
    made_up.call(GETPID, 3, pid=4711, session=session)
    made_up.mark(BASE + labels.TEARDOWN, pid=4711, session=session)
    made_up.call(GETPID, 4)
    finish(made_up)
    assert calls(made_up) == {GETPID: {"call": 6}}
    assert made_up.lines()[0]["complete"]


def test_names_that_look_like_fields_do_not_count(made_up: MadeUp) -> None:
    made_up.attach()
    one_test(made_up)
    made_up.call(GETPID, comm=b" ses=9 ", exe=b'/tmp/" syscall=1 code=0x50000')
    made_up.call(GETPID, pid=4711, session=9, comm=b"ses=7", exe=b"/ ses=7 pid=42 ")
    finish(made_up)
    assert calls(made_up) == {GETPID: {"call": 1}}


def test_children_count_whatever_their_pid(made_up: MadeUp) -> None:
    """Whether they live when their records are read is not asked."""
    made_up.attach()
    one_test(made_up)
    for pid in (4, 421, 42000, 2**22 - 1):
        made_up.call(GETPID, pid=pid)
    finish(made_up)
    assert calls(made_up) == {GETPID: {"call": 4}}


@pytest.mark.parametrize("action", [ERRNO, KILL, 0, 0x30000, 0x7FC00000, 0x7FF00000])
def test_denied_calls_do_not_count(made_up: MadeUp, action: int) -> None:
    made_up.attach()
    one_test(made_up)
    made_up.call(GETPID, action=action, signal=31 if action in (KILL, 0) else 0)
    made_up.call(1)
    finish(made_up)
    assert calls(made_up) == {1: {"call": 1}}


def test_records_of_another_type_do_not_count(made_up: MadeUp) -> None:
    """Their texts may say what they like; their serials belong to the account."""
    made_up.attach()
    one_test(made_up)
    for kind in (1300, 1327, 1107):
        made_up.other(made_up.text(GETPID), kind)
    made_up.call(1)
    assert finish(made_up) == ("finished", True, 0, [])
    assert calls(made_up) == {1: {"call": 1}}


def test_what_was_there_before_does_not_count(made_up: MadeUp) -> None:
    made_up.call(GETPID, 3)
    made_up.call(GETPID, 3, pid=50, session=8)
    made_up.attach()
    one_test(made_up)
    assert finish(made_up) == ("finished", True, 0, [])
    assert calls(made_up) == {}
    assert calls(made_up, "harness") in ({}, {GETPID: {"harness": 3}})  # of the session, if that was known by then


def test_a_record_that_is_late_is_waited_for(made_up: MadeUp) -> None:
    """Two processes can send theirs in another order than they had their numbers."""
    made_up.attach()
    one_test(made_up)
    late = made_up.text(GETPID)
    made_up.ring(labels.HARNESS, ("end", BASE, '"passed"'))
    made_up.call(1)
    until("the records", lambda: made_up.counted(labels.HARNESS, 1))
    assert made_up.lines() == []
    made_up.other(late, RECORD_TYPE)
    until("the test's line", made_up.lines)
    assert made_up.lines()[0]["complete"]
    assert finish(made_up) == ("finished", True, 0, [])


def test_messages_wait_for_their_marker(made_up: MadeUp) -> None:
    """What was logged before it counts for what was open then, though the recorder has the message already."""
    made_up.attach()
    one_test(made_up)
    ring = made_up.announce(BASE + 4, ("end", BASE, '"passed"'), ("begin", BASE + 4, '"second"', 0))
    made_up.call(GETPID, 2)
    until("the records", lambda: made_up.counted(CALL, GETPID) == 2)
    made_up.call(ring)
    made_up.call(GETPID, 3)
    made_up.ring(labels.HARNESS, ("end", BASE + 4, '"passed"'), ("finish",))
    made_up.answer_to_finish()
    assert (calls(made_up), calls(made_up, index=1)) == ({GETPID: {"call": 2}}, {GETPID: {"setup": 3}})


def test_a_gap_is_told_in_the_line_of_its_test_and_in_the_end(made_up: MadeUp, impatient: None) -> None:
    made_up.attach()
    one_test(made_up)
    made_up.call(GETPID, 2)
    made_up.call(GETPID, 3, lost=True)
    made_up.ring(BASE + 4, ("end", BASE, '"passed"'), ("begin", BASE + 4, '"second"', 0))
    made_up.call(GETPID)
    made_up.ring(labels.HARNESS, ("end", BASE + 4, '"passed"'), ("finish",))
    assert made_up.answer_to_finish() == ("finished", False, 3, [])
    assert complete(made_up) == [
        ("test", False, 3), ("test", True, 0), ("collect", True, 0), ("harness", False, 3), ("end", False, 3)
    ]  # fmt: skip
    assert made_up.lines()[-1]["reasons"] == [f"3 audit records were lost: they did not come: {REMEDY}"]


def test_what_a_reader_could_not_take_is_lost_without_a_gap(made_up: MadeUp) -> None:
    made_up.attach()
    one_test(made_up)
    made_up.kernel.overruns, made_up.kernel.dropped = 1, 5
    assert finish(made_up) == ("finished", False, 5, [])
    (reason,) = made_up.lines()[-1]["reasons"]
    assert reason == f"5 audit records were lost: they came faster than they were read: {REMEDY}"


def test_a_lost_end_is_no_complete_one(made_up: MadeUp, impatient: None) -> None:
    """No gap shows it: after it nothing came."""
    made_up.attach()
    one_test(made_up)
    made_up.call(GETPID, 2)
    made_up.call(GETPID, 3, lost=True)
    assert finish(made_up, lost=True) == ("finished", False, None, [])
    assert calls(made_up) == {GETPID: {"call": 2}}
    assert ("test", False, None) in complete(made_up)
    (reason,) = made_up.lines()[-1]["reasons"]
    assert reason.startswith("the record of the last marker call did not come")


def test_where_the_last_marker_is_lost_another_one_tells_how_many_are(made_up: MadeUp, impatient: None) -> None:
    made_up.attach()
    one_test(made_up)
    made_up.call(GETPID, 3, lost=True)
    made_up.ring(labels.HARNESS, ("end", BASE, '"passed"'), ("finish",), lost=True)
    answer = made_up.answer_to_finish(lambda: made_up.ring(labels.HARNESS))
    assert answer == ("finished", False, 4, [])
    end = made_up.lines()[-1]
    assert (end["complete"], end["lost"]) == (False, 4)
    assert end["reasons"] == [f"4 audit records were lost: they did not come: {REMEDY}"]


def test_a_marker_in_between_that_is_lost(made_up: MadeUp, impatient: None) -> None:
    """The next one says so: it is not waited for, and what belongs to it is not mixed up with what follows."""
    made_up.attach()
    one_test(made_up)
    made_up.ring(BASE + 4, ("end", BASE, '"passed"'), ("begin", BASE + 4, '"second"', 0), lost=True)
    made_up.call(GETPID)
    made_up.ring(BASE + 8, ("end", BASE + 4, '"passed"'), ("begin", BASE + 8, '"third"', 0))
    made_up.call(GETPID)
    made_up.ring(labels.HARNESS, ("end", BASE + 8, '"passed"'), ("finish",))
    assert made_up.answer_to_finish() == ("finished", False, 1, [])
    found = [(line["nodeid"], line["complete"], line["lost"]) for line in made_up.lines() if line["kind"] == "test"]
    assert found == [("test4", False, None), ("second", False, 1), ("third", True, 0)]
    assert calls(made_up, index=2) == {GETPID: {"setup": 1}}


def test_a_child_that_speaks_for_pytest(made_up: MadeUp) -> None:
    """As with pytest-forked: its numbers come again when pytest itself goes on."""
    made_up.attach()
    for base in (BASE, BASE + 4):
        rung = made_up.rung
        made_up.ring(base + labels.SETUP, ("begin", base, f'"{base}"', 0))
        made_up.call(GETPID, pid=4711)
        made_up.ring(labels.HARNESS, pid=4711)
        made_up.rung = rung
        made_up.ring(labels.HARNESS, ("end", base, '"passed"'))
        made_up.call(GETPID, 2)
    made_up.ring(labels.HARNESS, ("finish",))
    assert made_up.answer_to_finish() == ("finished", True, 0, [])
    assert calls(made_up) == calls(made_up, index=1) == {GETPID: {"setup": 1}}
    assert calls(made_up, "harness") == {GETPID: {"harness": 4}}


def test_a_process_that_leaves_the_session_is_told(made_up: MadeUp) -> None:
    """A login, or a pytest that is traced itself: the filter goes with it, its records are not known any more."""
    made_up.attach()
    one_test(made_up)
    made_up.call(1, pid=4711, comm=b"su \xff")
    made_up.call(GETPID, 5, pid=4711, session=8, comm=b"su \xff")
    made_up.call(GETPID, pid=4712, session=8)
    assert finish(made_up) == ("finished", False, None, [])
    (reason,) = made_up.lines()[-1]["reasons"]
    assert reason.startswith("process 4711 (su \\xff) has left the audit session of the tests")


class MadeUpScope:
    """In place of Scope: it holds what it is told, and knows nothing of one process."""

    added: list[int]

    def __init__(self) -> None:
        self.added = []
        MadeUpScope.last = self

    last: "MadeUpScope"

    def add(self, pid: int) -> None:
        self.added.append(pid)

    def holds(self, pid: int, time_ms: int, session: int) -> bool | None:
        assert time_ms > 0
        return None if pid == 999 else pid in (PID, 43)

    def refresh_ms(self) -> int:
        return 0

    def refresh(self) -> None:
        pass


@pytest.fixture
def scope(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_scope, "Scope", MadeUpScope)


def test_without_a_session_of_its_own_the_scope_says_what_counts(made_up: MadeUp, scope: None) -> None:
    made_up.attach(None)
    one_test(made_up)
    made_up.call(GETPID, session=0xFFFFFFFF)
    made_up.call(GETPID, pid=43)
    made_up.call(GETPID, 7, pid=421)
    assert finish(made_up) == ("finished", True, 0, [])
    assert MadeUpScope.last.added == [os.getpid()]
    assert calls(made_up) == {GETPID: {"call": 2}}


def test_a_process_of_which_nobody_knows_whose_it_was(made_up: MadeUp, scope: None) -> None:
    made_up.attach(None)
    one_test(made_up)
    made_up.call(GETPID, 3, pid=999, comm=b"gone")
    assert finish(made_up) == ("finished", False, None, [])
    (reason,) = made_up.lines()[-1]["reasons"]
    assert reason.startswith("of short-lived processes (1, such as 999, gone) it is not known whether the tests")


def test_a_pytest_that_ends_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it sent and what was logged until then is counted, and incomplete."""
    target = subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE)
    made_up = MadeUp(tmp_path, monkeypatch, target.pid)
    made_up.attach()
    one_test(made_up)
    made_up.call(GETPID, 5)
    target.kill()
    target.communicate()
    made_up.close()
    test, *_, end = made_up.lines()
    assert (test["outcome"], test["complete"], calls(made_up)) == (None, False, {GETPID: {"call": 5}})
    assert end["reasons"][-1] == f"pytest (process {target.pid}) ended before its session did"
    assert not end["complete"]


@pytest.mark.parametrize("lost", [False, True])
def test_what_is_on_its_way_when_pytest_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: bool) -> None:
    """It comes when the kernel comes to it: what was logged after it has come, and then none may be missing."""
    target = subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE)
    made_up = MadeUp(tmp_path, monkeypatch, target.pid)
    made_up.attach()
    one_test(made_up)

    def on_their_way() -> None:
        ring = made_up.announce(BASE + 4, ("end", BASE, '"passed"'), ("begin", BASE + 4, '"second"', 0))
        made_up.call(GETPID, 5, lost=lost)
        made_up.call(ring, lost=lost)

    made_up.on_their_way = on_their_way
    target.kill()
    target.communicate()
    made_up.wait_for_its_end()
    made_up.close()
    first = made_up.lines()[0]
    assert (first["outcome"], first["complete"], first["lost"]) == ("passed", not lost, 6 if lost else 0)
    assert calls(made_up) == ({} if lost else {GETPID: {"call": 5}})


def test_a_pytest_that_ends_before_it_has_its_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE)
    made_up = MadeUp(tmp_path, monkeypatch, target.pid)
    made_up.attach()
    one_test(made_up)
    made_up.ring(labels.HARNESS, ("end", BASE, '"passed"'), ("finish",), lost=True)
    target.kill()
    target.communicate()
    made_up.close()
    assert [(line["kind"], line["complete"]) for line in made_up.lines()][-1] == ("end", False)


def test_a_connection_that_was_closed(made_up: MadeUp) -> None:
    made_up.attach()
    one_test(made_up)
    until("the marker", lambda: made_up.recorder.ledger._open)
    made_up._ours.shutdown(1)
    until("the end of the spool", lambda: made_up.lines() and made_up.lines()[-1]["kind"] == "end")
    assert made_up.lines()[-1]["reasons"] == ["test4 did not finish", protocol.CLOSED]


def test_a_record_like_ours_with_another_text_is_told(made_up: MadeUp) -> None:
    made_up.attach()
    one_test(made_up)
    made_up.other(made_up.text(GETPID)[:-4], RECORD_TYPE)
    made_up.serial += 1
    made_up.other(printed_record(serial=made_up.serial, session=SESSION) + b" more=1", RECORD_TYPE)
    assert finish(made_up) == ("finished", False, 2, [])
    (reason,) = made_up.lines()[-1]["reasons"]
    assert reason.startswith("2 seccomp records were not as known kernels print them")
