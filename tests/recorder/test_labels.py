"""Labels: no two tests share one, and none is that of the harness or the collection."""

from pytest_seccomp.recorder import labels


def test_labels_of_tests_do_not_overlap() -> None:
    bases = [labels.FIRST_TEST]
    for _ in range(100):
        bases.append(labels.next_base(bases[-1]))
    phases = (labels.SETUP, labels.CALL, labels.TEARDOWN, labels.SHARED)
    used = [base + phase for base in bases for phase in phases]
    assert len({labels.HARNESS, labels.COLLECTION, *used}) == 2 + len(used)


def test_the_first_test_after_nothing_has_the_first_label() -> None:
    assert labels.next_base(0) == labels.FIRST_TEST


def test_offsets_are_places_in_the_names_of_the_phases() -> None:
    assert [labels.PHASES[offset] for offset in (labels.SETUP, labels.CALL, labels.TEARDOWN, labels.SHARED)] == [
        "setup",
        "call",
        "teardown",
        "shared",
    ]
