"""What tests of whole runs share."""

from pathlib import Path

import pytest
from traced import Suite


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """An empty suite of somebody else's tests."""
    folder = tmp_path / "suite"
    folder.mkdir()
    return Suite(folder)
