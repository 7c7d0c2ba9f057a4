"""The kernel as a judge of filters, for the tests of policies."""

import platform
from collections.abc import Iterator

import pytest
from judged import Kernel


@pytest.fixture(scope="session")
def kernel() -> Iterator[Kernel]:
    """Skips on other machines than x86-64: it has i386 and x32 beside its own calls."""
    if platform.machine() != "x86_64":
        pytest.skip("not x86-64")
    judge = Kernel()
    yield judge
    judge.close()
