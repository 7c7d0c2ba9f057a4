"""The tests test the built wheel, all of it, and not the checkout that they lie in."""

import os
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest_seccomp

CHECKOUT = Path(__file__).resolve().parent.parent
INSTALLED = Path(pytest_seccomp.__file__).resolve().parent


def files_below(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below `folder`, but for compiled ones."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_package_under_test_is_the_installed_one() -> None:
    assert Path(sysconfig.get_path("purelib")).resolve() == INSTALLED.parent, "run the tests with `make test`"


def test_processes_started_by_tests_import_the_installed_one(tmp_path: Path) -> None:
    code = "import os, pytest_seccomp; print(os.path.dirname(pytest_seccomp.__file__))"
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(result.stdout.strip()).resolve() == INSTALLED


def test_the_wheel_holds_the_files_of_the_checkout() -> None:
    assert files_below(INSTALLED) == files_below(CHECKOUT / "pytest_seccomp")


def test_the_wheel_is_typed() -> None:
    assert (INSTALLED / "py.typed").is_file()


def test_metadata() -> None:
    distribution = metadata.distribution("pytest-seccomp")
    points = {(point.group, point.name): point.value for point in distribution.entry_points}
    assert distribution.version == pytest_seccomp.__version__
    assert points[("pytest11", "seccomp")] == "pytest_seccomp.plugin"
    assert "Framework :: Pytest" in distribution.metadata.get_all("Classifier", [])
    assert distribution.metadata["Requires-Python"] == ">=3.11"
    assert distribution.metadata["License-Expression"] == "MIT"


def test_the_console_script_is_there() -> None:
    script = Path(sysconfig.get_path("scripts"), "pytest-seccomp")
    assert os.access(script, os.X_OK)
    result = subprocess.run([script, "--help"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert "show" in result.stdout
