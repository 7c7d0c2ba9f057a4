"""What belongs to a target: on a made-up tree of processes, with a clock that stands."""

import shutil
from pathlib import Path

import pytest
from made_up import BOOT_MS, CHILD, GRANDCHILD, OTHER, SESSION, TARGET, Machine

from pytest_seccomp.linux.cgroup import Cgroup
from pytest_seccomp.linux.proc import Processes
from pytest_seccomp.linux.seccomp_record import NO_ID
from pytest_seccomp.recorder.scope import REFRESH_SECONDS, REMEMBER_SECONDS, Scope


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def watched(machine: Machine) -> Machine:
    """With a target."""
    machine.scope.add(TARGET)
    return machine


def test_nothing_counts_without_a_target(machine: Machine) -> None:
    assert [machine.holds(pid) for pid in (TARGET, CHILD, OTHER, 1, 99999)] == [False] * 5
    assert machine.scope.refresh_ms() is None


def test_the_target_and_its_descendants(watched: Machine) -> None:
    assert [watched.holds(pid) for pid in (TARGET, CHILD, GRANDCHILD)] == [True] * 3
    assert [watched.holds(pid) for pid in (OTHER, 1)] == [False] * 2


@pytest.mark.parametrize("pid", [471, 47110, 7, 711, 47, 14711])
def test_a_pid_that_has_the_digits_of_a_target(watched: Machine, pid: int) -> None:
    watched.start(pid)
    assert watched.holds(pid) is False


def test_a_child_of_another_process(watched: Machine) -> None:
    watched.start(43, parent=OTHER)
    assert watched.holds(43) is False


def test_no_such_target(machine: Machine) -> None:
    with pytest.raises(ProcessLookupError, match=r"^no process 99999$"):
        machine.scope.add(99999)
    assert machine.holds(99999) is False


def test_a_child_that_has_come_since(watched: Machine) -> None:
    """Without waiting for the next refresh."""
    watched.start(4714, parent=GRANDCHILD)
    assert watched.holds(4714) is True
    watched.start(4715, parent=4714)
    watched.start(4716, parent=4715)
    assert watched.holds(4716) is True


def test_a_child_that_was_not_listed(watched: Machine) -> None:
    watched.start(4714, parent=CHILD)
    watched.hide_from_its_parent(4714)
    assert watched.holds(4714) is True


def test_what_comes_with_an_unknown_pid_is_known_from_then_on(watched: Machine) -> None:
    watched.start(4714, parent=CHILD)
    watched.start(4715, parent=CHILD)
    assert watched.holds(4714) is True
    watched.end(4715)
    assert watched.holds(4715) is True


def test_a_child_of_a_thread_that_is_not_the_first(machine: Machine) -> None:
    folder = machine.folder / f"{TARGET}/task/4999"
    folder.mkdir()
    machine.start(5000)
    (folder / "children").write_text("5000 ")
    machine.scope.add(TARGET)
    assert machine.holds(5000) is True


def test_a_daemon_that_was_seen_as_a_descendant(watched: Machine) -> None:
    """Adopted by process 1 when its parent ends, and its own children, too."""
    watched.end(CHILD)
    watched.pass_by(60)
    assert watched.holds(GRANDCHILD) is True
    watched.start(4714, parent=GRANDCHILD)
    assert watched.holds(4714) is True


def test_a_child_that_has_ended_counts_while_it_is_remembered(watched: Machine) -> None:
    watched.end(GRANDCHILD)
    watched.pass_by(REMEMBER_SECONDS - 0.01)
    assert watched.holds(GRANDCHILD) is True
    watched.pass_by(REFRESH_SECONDS)
    assert watched.holds(GRANDCHILD, session=99) is False
    assert watched.holds(GRANDCHILD) is None


def test_it_is_remembered_since_it_was_last_seen_alive(watched: Machine) -> None:
    for _ in range(10):
        watched.pass_by(REMEMBER_SECONDS / 2)
        assert watched.holds(GRANDCHILD) is True
    watched.end(GRANDCHILD)
    watched.pass_by(REMEMBER_SECONDS - 0.01)
    assert watched.holds(GRANDCHILD) is True


def test_the_target_itself_ends(watched: Machine) -> None:
    watched.end(TARGET)
    watched.pass_by(1)
    assert watched.holds(TARGET) is True
    watched.pass_by(REMEMBER_SECONDS)
    assert watched.holds(TARGET, session=99) is False
    assert watched.holds(CHILD) is True


def test_a_refresh_sees_who_ends_before_its_record_comes(watched: Machine) -> None:
    watched.pass_by(REFRESH_SECONDS)
    watched.start(4714, parent=CHILD)
    assert watched.scope.refresh_ms() == 0
    watched.scope.refresh()
    watched.end(4714)
    assert watched.holds(4714) is True


def test_when_the_next_refresh_is_due(watched: Machine) -> None:
    assert watched.scope.refresh_ms() == 250
    watched.pass_by(0.125)
    assert watched.scope.refresh_ms() == 125
    watched.pass_by(10)
    assert watched.scope.refresh_ms() == 0


def test_looking_up_takes_a_part_of_the_time(machine: Machine) -> None:
    class Slow(Processes):
        def children(self, pid: int) -> list[int]:
            machine.now += 0.5
            return super().children(pid)

    scope = Scope(Slow(str(machine.folder)), lambda: machine.now, lambda: BOOT_MS)
    before = machine.now
    scope.add(TARGET)
    took = machine.now - before
    assert took == 0.5 * len([TARGET, CHILD, GRANDCHILD])
    assert scope.refresh_ms() == 1000 * 9 * took


def test_a_record_refreshes_what_is_due(watched: Machine) -> None:
    watched.pass_by(REFRESH_SECONDS)
    watched.start(4714, parent=CHILD)
    assert watched.holds(OTHER) is False
    watched.end(4714)
    assert watched.holds(4714) is True


def test_a_child_that_ended_before_it_could_be_looked_up(watched: Machine) -> None:
    """It may have been one of ours: whoever judges has to say so, not to guess."""
    assert watched.holds(99999) is None
    assert watched.holds(99999, session=99) is False
    assert watched.holds(99999, session=NO_ID) is False


@pytest.mark.parametrize("session", [SESSION, NO_ID])
def test_the_session_of_the_target(machine: Machine, session: int) -> None:
    machine.start(5000, session=session)
    machine.scope.add(5000)
    assert machine.holds(99999, session=session) is None
    assert machine.holds(99999, session=SESSION + 1) is False


class TestAPidThatIsGivenToAnother:
    """The process that had it was started at 1000 s and ended; 10 s after that another one has it."""

    LATER = 10.0

    @pytest.fixture
    def reused(self, watched: Machine) -> Machine:
        watched.end(GRANDCHILD)
        watched.pass_by(1)
        watched.start(GRANDCHILD, parent=OTHER, at=watched.now + self.LATER)
        return watched

    def test_its_records_do_not_count(self, reused: Machine) -> None:
        assert reused.holds(GRANDCHILD, at=reused.now + self.LATER) is False
        assert reused.holds(GRANDCHILD, at=reused.now + self.LATER + 1) is False

    def test_records_of_the_earlier_one_do(self, reused: Machine) -> None:
        assert reused.holds(GRANDCHILD, at=reused.now - 1) is True
        assert reused.holds(GRANDCHILD, at=reused.now + self.LATER - 1) is True

    def test_the_coarse_clock_does_not_make_a_record_that_of_the_earlier_one(self, reused: Machine) -> None:
        assert reused.holds(GRANDCHILD, at=reused.now + self.LATER - 0.02) is False

    def test_after_the_earlier_one_is_forgotten(self, reused: Machine) -> None:
        reused.pass_by(REMEMBER_SECONDS + self.LATER)
        assert reused.holds(GRANDCHILD) is False
        assert reused.holds(GRANDCHILD, at=1005) is None  # of the earlier one, or of one in between
        assert reused.holds(GRANDCHILD, at=1005, session=99) is False

    def test_its_children_are_none_of_ours(self, reused: Machine) -> None:
        reused.start(4714, parent=GRANDCHILD)
        reused.pass_by(REFRESH_SECONDS)
        assert reused.holds(4714) is False

    def test_by_a_descendant(self, watched: Machine) -> None:
        watched.end(GRANDCHILD)
        watched.pass_by(1)
        watched.start(GRANDCHILD, parent=TARGET)
        assert watched.holds(GRANDCHILD) is True
        watched.pass_by(2 * REMEMBER_SECONDS)
        assert watched.holds(GRANDCHILD) is True

    def test_by_a_descendant_that_ends_as_well(self, watched: Machine) -> None:
        """It is remembered as long as any other."""
        watched.end(GRANDCHILD)
        watched.pass_by(REMEMBER_SECONDS - 1)
        watched.start(GRANDCHILD, parent=TARGET)
        assert watched.holds(GRANDCHILD) is True
        watched.end(GRANDCHILD)
        watched.pass_by(2)
        assert watched.holds(GRANDCHILD) is True

    def test_of_a_stranger_by_a_descendant(self, watched: Machine) -> None:
        assert watched.holds(OTHER) is False
        watched.end(OTHER)
        watched.start(OTHER, parent=TARGET)
        watched.pass_by(REFRESH_SECONDS)
        assert watched.holds(OTHER) is True

    def test_of_the_target(self, watched: Machine) -> None:
        watched.end(TARGET)
        watched.pass_by(1)
        watched.start(TARGET, parent=OTHER)
        watched.start(5000, parent=TARGET)
        watched.pass_by(REFRESH_SECONDS)
        assert watched.holds(TARGET) is False
        assert watched.holds(5000) is False


class TestCgroup:
    @pytest.fixture
    def grouped(self, machine: Machine) -> Machine:
        """The target is watched with the cgroup /app, in which another process is."""
        folder = machine.folder / "cgroup"
        (folder / "sub/sub").mkdir(parents=True)
        machine.start(100, group="/app")
        machine.start(101, group="/app/sub/sub")
        machine.start(102, group="/application")
        (folder / "cgroup.procs").write_text("100\n")
        (folder / "sub/sub/cgroup.procs").write_text("101\n0\n")
        machine.scope.add(TARGET, Cgroup(b"/app", bytes(folder)))
        return machine

    def test_members_of_it_and_of_those_below_it(self, grouped: Machine) -> None:
        assert [grouped.holds(pid) for pid in (100, 101, TARGET, CHILD)] == [True] * 4
        assert [grouped.holds(pid) for pid in (102, OTHER, 1)] == [False] * 3

    def test_a_child_that_ended_before_it_could_be_looked_up(self, grouped: Machine) -> None:
        """Members may have other sessions than the target."""
        assert grouped.holds(99999, session=99) is False
        grouped.start(103, group="/app/new", session=99)
        assert grouped.holds(103) is True
        assert grouped.holds(99999, session=99) is None

    def test_a_member_that_has_come_since(self, grouped: Machine) -> None:
        grouped.start(103, group="/app/new")
        assert grouped.holds(103) is True

    def test_a_member_that_has_ended(self, grouped: Machine) -> None:
        grouped.end(101)
        assert grouped.holds(101) is True

    def test_descendants_of_a_member_that_have_left_it(self, grouped: Machine) -> None:
        grouped.start(104, parent=101, group="/elsewhere")
        assert grouped.holds(104) is True

    def test_a_process_that_joins_it(self, grouped: Machine) -> None:
        assert grouped.holds(OTHER) is False
        grouped.move(OTHER, "/app")
        grouped.pass_by(REFRESH_SECONDS)
        assert grouped.holds(OTHER) is True

    def test_it_is_removed(self, grouped: Machine) -> None:
        shutil.rmtree(grouped.folder / "cgroup")
        grouped.pass_by(1)
        assert grouped.holds(CHILD) is True

    def test_a_target_without_one(self, grouped: Machine) -> None:
        grouped.scope.remove(TARGET)
        grouped.scope.add(TARGET)
        assert grouped.holds(CHILD) is True
        assert grouped.holds(100) is False


class TestPidNamespace:
    @pytest.fixture
    def contained(self, machine: Machine) -> Machine:
        """The target is process 1 of a container; something else runs in it, too, and in another container."""
        machine.start(200, namespace=4026532000)
        machine.start(201, namespace=4026532000)
        machine.start(202, namespace=4026532001)
        machine.scope.add(200)
        return machine

    def test_its_members(self, contained: Machine) -> None:
        assert [contained.holds(pid) for pid in (200, 201)] == [True] * 2
        assert [contained.holds(pid) for pid in (202, OTHER, TARGET)] == [False] * 3

    def test_a_member_that_has_come_since(self, contained: Machine) -> None:
        contained.start(203, namespace=4026532000)
        assert contained.holds(203) is True

    def test_a_member_that_has_ended(self, contained: Machine) -> None:
        contained.end(201)
        assert contained.holds(201) is True

    def test_one_that_cannot_be_seen_is_not_that_of_a_target(self, contained: Machine) -> None:
        contained.start(204)
        (contained.folder / "204/ns/pid").unlink()
        contained.scope.add(TARGET)
        assert contained.holds(204) is False

    def test_the_initial_one_is_everybodys(self, watched: Machine) -> None:
        watched.start(300)
        assert watched.holds(300) is False


class TestSeveralTargets:
    @pytest.fixture
    def both(self, watched: Machine) -> Machine:
        watched.start(5000)
        watched.start(5001, parent=5000)
        watched.scope.add(5000)
        return watched

    def test_each_counts(self, both: Machine) -> None:
        assert [both.holds(pid) for pid in (TARGET, GRANDCHILD, 5000, 5001)] == [True] * 4

    def test_one_is_removed(self, both: Machine) -> None:
        both.scope.remove(TARGET)
        assert [both.holds(pid) for pid in (TARGET, CHILD, GRANDCHILD)] == [False] * 3
        assert [both.holds(pid) for pid in (5000, 5001)] == [True] * 2
        both.pass_by(1)
        assert both.holds(GRANDCHILD) is False

    def test_one_inside_the_other(self, both: Machine) -> None:
        both.start(4714, parent=GRANDCHILD)
        both.scope.refresh()
        both.scope.add(CHILD)
        both.scope.remove(TARGET)
        for pid in (CHILD, GRANDCHILD):
            both.end(pid)
        assert [both.holds(pid) for pid in (TARGET, CHILD, GRANDCHILD, 4714)] == [False, True, True, True]
        both.scope.remove(CHILD)
        assert both.holds(4714) is False

    def test_the_outer_one_stays(self, both: Machine) -> None:
        both.scope.add(CHILD)
        both.scope.remove(CHILD)
        assert [both.holds(pid) for pid in (TARGET, CHILD, GRANDCHILD)] == [True] * 3

    def test_none_is_left(self, both: Machine) -> None:
        both.scope.remove(TARGET)
        both.scope.remove(5000)
        both.scope.remove(5000)
        assert both.holds(5001) is False
        assert both.scope.refresh_ms() is None
