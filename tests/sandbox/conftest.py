"""Sandboxes for the tests of this folder."""

from collections.abc import Iterator

import pytest

from pytest_seccomp.sandbox.sandboxes import Sandboxes


@pytest.fixture
def sandboxes() -> Iterator[Sandboxes]:
    """Those of one test, which ends what is left in them."""
    found = Sandboxes()
    yield found
    found.close()
