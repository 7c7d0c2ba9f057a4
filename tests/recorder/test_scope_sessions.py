"""Audit sessions that a descendant of a target begins: nobody else can enter them, so that all that is in them is ours,
also what was never seen."""

from pathlib import Path

import pytest
from made_up import BOOT_MS, CHILD, OTHER, SESSION, TARGET, Machine

from pytest_seccomp.linux.proc import Processes
from pytest_seccomp.linux.seccomp_record import NO_ID
from pytest_seccomp.recorder.scope import REFRESH_SECONDS, Scope

NEW = SESSION + 5


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def watched(machine: Machine) -> Machine:
    """With a target."""
    machine.scope.add(TARGET)
    return machine


def test_by_a_child(watched: Machine) -> None:
    watched.start(4714, parent=CHILD, session=NEW)
    assert watched.holds(99999, session=NEW) is False
    watched.pass_by(REFRESH_SECONDS)
    assert watched.holds(99999, session=NEW) is True
    watched.end(4714)
    watched.pass_by(100)
    assert watched.holds(99998, session=NEW) is True
    assert watched.holds(99997, session=NEW + 1) is False


def test_by_one_that_is_a_member_already(watched: Machine) -> None:
    watched.begin_session(CHILD, NEW)
    watched.pass_by(REFRESH_SECONDS)
    assert watched.holds(99999, session=NEW) is True


def test_by_one_whose_record_comes_first(watched: Machine) -> None:
    watched.start(4714, parent=CHILD, session=NEW)
    watched.hide_from_its_parent(4714)
    assert watched.holds(4714, session=NEW) is True
    assert watched.holds(99999, session=NEW) is True


def test_by_a_member_of_which_a_record_tells_it(watched: Machine) -> None:
    """Before it is looked up again: what it has started may end meanwhile."""
    watched.begin_session(CHILD, NEW)
    assert watched.holds(99999, session=NEW) is False
    assert watched.holds(CHILD, session=NEW) is True
    assert watched.holds(99999, session=NEW) is True


def test_by_a_member_that_has_ended_since(watched: Machine) -> None:
    watched.end(CHILD)
    watched.pass_by(REFRESH_SECONDS)
    assert watched.holds(CHILD, session=NEW) is True
    assert watched.holds(99999, session=NEW) is True


def test_a_record_of_the_session_before_is_late(watched: Machine) -> None:
    """That one may be others', too."""
    watched.start(5000, session=NEW)
    watched.scope.add(5000)
    watched.begin_session(5000, NEW + 1)
    watched.pass_by(REFRESH_SECONDS)
    assert watched.holds(5000, session=NEW) is True
    assert watched.holds(99999, session=NEW + 1) is True
    assert watched.holds(99999, session=NEW) is not True


@pytest.mark.parametrize("session", [SESSION - 1, NO_ID])
def test_one_that_is_older_than_the_watch(watched: Machine, session: int) -> None:
    """Of a process that has come in from outside, and others have it: of whoever ended, it is not known."""
    watched.start(4714, parent=CHILD, session=session)
    watched.pass_by(REFRESH_SECONDS)
    assert watched.holds(4714, session=session) is True
    assert watched.holds(99999, session=session) is None


def test_of_a_member_of_a_pid_namespace(machine: Machine) -> None:
    machine.start(200, namespace=4026532000)
    machine.start(201, namespace=4026532000, session=NEW)
    machine.scope.add(200)
    assert machine.holds(201, session=NEW) is True
    assert machine.holds(99999, session=NEW) is None


def test_of_a_target_that_is_removed(watched: Machine) -> None:
    watched.start(4714, parent=CHILD, session=NEW)
    watched.scope.refresh()
    watched.scope.add(OTHER)
    watched.scope.remove(TARGET)
    assert watched.holds(99999, session=NEW) is False


def test_without_a_session_that_is_new(machine: Machine) -> None:
    scope = Scope(Processes(str(machine.folder)), lambda: machine.now, lambda: BOOT_MS)
    scope.add(TARGET)
    machine.start(4714, parent=CHILD, session=NEW)
    scope.refresh()
    assert scope.holds(99999, BOOT_MS, NEW) is None
