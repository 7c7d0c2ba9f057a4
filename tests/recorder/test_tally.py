"""Which records count as denials of a target, and as one: made records, without a kernel."""

from pathlib import Path

import pytest
from made_up import BOOT_MS, CHILD, OTHER, SESSION, TARGET, Machine
from printed import record

from pytest_seccomp.linux.seccomp_record import NO_ID, SeccompRecord, parse
from pytest_seccomp.recorder import tally
from pytest_seccomp.recorder.tally import Tally

OURS, THEIRS = 42, 421


def made(**fields: object) -> SeccompRecord:
    found = parse(record(**{"session": OURS, **fields}))  # type: ignore[arg-type]
    assert found is not None
    return found


def taken(*records: SeccompRecord) -> list[tuple[object, ...]]:
    """What is told of records where only the session counts."""
    made_tally = Tally(OURS, None)
    for one in records:
        made_tally.add(one)
    denials, reasons = made_tally.take()
    assert reasons == []
    return list(denials)


@pytest.mark.parametrize(
    ("action", "name"),
    [
        (0x50000, "errno"),
        (0x30000, "trap"),
        (0x7FF00000, "trace"),
        (0x7FC00000, "user_notif"),
        (0, "kill_thread"),
        (0x80000000, "kill_process"),
    ],
)
def test_a_denial(action: int, name: str) -> None:
    one = made(action=action, pid=4711, number=257, comm=b"a b", exe=b"/x")
    assert taken(one) == [(0xC000003E, 257, name, 4711, b"a b", b"/x", 1)]


def test_a_call_that_is_logged_and_passes() -> None:
    assert taken(made(action=0x7FFC0000)) == []


@pytest.mark.parametrize("session", [THEIRS, 4, 2, 1, 142, NO_ID])
def test_another_session(session: int) -> None:
    assert taken(made(session=session)) == []


@pytest.mark.parametrize("comm", [b"ses=42", b" ses=42 ", b'" ses=42 comm="x', b"42"])
def test_a_name_that_looks_like_our_session(comm: bytes) -> None:
    assert taken(made(session=THEIRS, comm=comm)) == []


@pytest.mark.parametrize("field", ["auid", "uid", "gid", "pid"])
def test_our_session_in_another_field(field: str) -> None:
    assert taken(made(**{"session": THEIRS, field: OURS})) == []


def test_none_has_no_session() -> None:
    """A watch without one does not take records without one."""
    without = Tally(None, None)
    without.add(made(session=NO_ID))
    assert without.take() == ([], [])


def test_equal_ones_are_one() -> None:
    several = [made(pid=1), made(pid=2), made(pid=1, serial=99, time_ms=5, address=7), made(pid=1, number=2)]
    assert [(one[3], one[1], one[6]) for one in taken(*several)] == [(1, 41, 2), (2, 41, 1), (1, 2, 1)]


@pytest.mark.parametrize(
    "other", [{"action": 0}, {"comm": b"y"}, {"exe": b"/y"}, {"exe": None}, {"audit_arch": 0x40000003}, {"number": -1}]
)
def test_what_differs_is_another(other: dict[str, object]) -> None:
    assert [one[6] for one in taken(made(), made(**other), made())] == [2, 1]


def test_what_was_taken_is_not_told_again() -> None:
    counted = Tally(OURS, None)
    counted.add(made())
    assert counted.take()[0] != []
    assert counted.take() == ([], [])
    counted.add(made())
    assert counted.take()[0][0][6] == 1


def test_no_end_of_different_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "_MOST", 3)
    counted = Tally(OURS, None)
    for number in (*range(5), *range(5)):
        counted.add(made(number=number))
    denials, reasons = counted.take()
    assert [(one[1], one[6]) for one in denials] == [(0, 2), (1, 2), (2, 2)]
    assert reasons == ["more than 3 different denials at a time: 4 are left out"]
    assert counted.take() == ([], [])


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def at(machine: Machine, pid: int, session: int = SESSION, **fields: object) -> SeccompRecord:
    return made(pid=pid, session=session, time_ms=BOOT_MS + int(1000 * machine.now), **fields)


def test_a_target_without_our_session(machine: Machine) -> None:
    """By pid, exactly, and whatever session it has that others may have, too."""
    machine.scope.add(TARGET)
    counted = Tally(OURS, machine.scope)
    for pid in (TARGET, CHILD, OTHER, 1, 471, 47110):
        counted.add(at(machine, pid, session=SESSION - 1))
    counted.add(at(machine, 88888, session=OURS))
    denials, reasons = counted.take()
    assert ([one[3] for one in denials], reasons) == ([TARGET, CHILD, 88888], [])


def test_processes_that_nobody_had_seen(machine: Machine) -> None:
    machine.scope.add(TARGET)
    counted = Tally(None, machine.scope)
    for pid in (90001, 90002, 90001, 90003, 90004, 90005):
        counted.add(at(machine, pid, comm=b"a\xff"))
    denials, (reason,) = counted.take()
    assert denials == []
    assert reason.startswith(
        r"a call was denied to process 90001 (a\xff), 90002 (a\xff), 90003 (a\xff) and 2 others, which ended before"
    )
    assert counted.take() == ([], [])


def test_logged_calls_of_such_processes_are_of_no_interest(machine: Machine) -> None:
    machine.scope.add(TARGET)
    counted = Tally(None, machine.scope)
    counted.add(at(machine, 90001, action=0x7FFC0000))
    counted.add(at(machine, 90002, session=99))
    assert counted.take() == ([], [])
