"""Labels: the numbers that say for whom a system call counts. Markers set them, the ledger counts by them."""

HARNESS = 0
COLLECTION = 1

# A test has as many labels as phases, from its base on.
PHASES = ("setup", "call", "teardown", "shared")
SETUP, CALL, TEARDOWN, SHARED = range(4)

FIRST_TEST = len(PHASES)


def next_base(base: int) -> int:
    """The base of the test after the one with this base."""
    return base + len(PHASES)
