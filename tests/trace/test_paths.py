"""The names of a trace's two files."""

import os
from pathlib import Path

import pytest

from pytest_seccomp.trace import paths

NAMES = [
    ("out.ndjson", "out.tests.ndjson"),
    ("out", "out.tests"),
    ("out.tar.gz", "out.tar.tests.gz"),
    (".hidden", ".hidden.tests"),
    ("a b.json", "a b.tests.json"),
]


@pytest.mark.parametrize(("name", "tests"), NAMES)
def test_each_name_of_a_trace_leads_to_the_other(name: str, tests: str) -> None:
    folder = Path("/folder")
    assert paths.tests_path(folder / name) == folder / tests
    assert paths.path_of(folder / tests) == folder / name
    assert paths.is_tests_path(folder / tests)


@pytest.mark.parametrize("name", [name for name, _ in NAMES])
def test_a_name_without_tests_is_that_of_no_tests_file(name: str) -> None:
    assert paths.path_of(Path(name)) is None
    assert not paths.is_tests_path(Path(name))


def test_what_is_no_regular_file_has_a_name(tmp_path: Path) -> None:
    assert paths.irregular(os.stat(__file__).st_mode) is None
    assert paths.irregular(tmp_path.stat().st_mode) == "a directory"
    assert paths.irregular(os.stat("/dev/null").st_mode) == "a device"
