"""What a recorder is told, for each part that a pytest process can have."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_seccomp.recorder import settings
from pytest_seccomp.recorder.salvage import command
from pytest_seccomp.recorder.spools import SpoolDirectory


@pytest.fixture
def directory(tmp_path: Path) -> SpoolDirectory:
    return SpoolDirectory(tmp_path, "token")


def test_the_only_process_of_a_run_has_itself_merged_if_it_is_killed(directory: SpoolDirectory) -> None:
    made = settings.for_traced("notify", directory)
    assert (made.backend, made.target, made.worker) == ("notify", os.getpid(), "null")
    assert made.spool is not None
    assert Path(made.spool).parent == directory.path
    assert Path(made.spool).name.startswith("pytest-")
    assert made.salvage == command(directory)


def test_a_worker_whose_directory_others_see_is_merged_by_them(directory: SpoolDirectory) -> None:
    made = settings.for_traced("notify", directory, "gw0", alone=False)
    assert made.worker == '"gw0"'
    assert made.spool is not None
    assert Path(made.spool).name.startswith("gw0-")
    assert made.salvage is None


def test_a_worker_alone_with_its_directory_has_it_removed(directory: SpoolDirectory) -> None:
    assert settings.for_traced("notify", directory, "gw0").salvage == command(directory)


def test_a_controller_is_not_traced(directory: SpoolDirectory) -> None:
    made = settings.for_controller("notify", directory)
    assert (made.spool, made.worker, made.salvage) == (None, "null", command(directory))


def test_each_process_has_a_cookie_of_its_own_that_fits_into_62_bits() -> None:
    code = (
        "import os; from pytest_seccomp.recorder.settings import own_cookie\n"
        "print(own_cookie(), own_cookie(), flush=True)\n"
        "if not os.fork(): print(own_cookie(), own_cookie(), flush=True)\n"
        "else: os.wait()\n"
    )
    command = [sys.executable, "-I", "-c", code]
    lines = "".join(subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2))
    pairs = [line.split() for line in lines.splitlines()]
    assert [one for one, _ in pairs] == [other for _, other in pairs]
    cookies = {int(one) for one, _ in pairs}
    assert len(cookies) == 4
    assert all(0 <= cookie < 2**62 for cookie in cookies)


def test_a_process_has_one_cookie(directory: SpoolDirectory) -> None:
    assert settings.for_traced("notify", directory).cookie == settings.for_controller("notify", directory).cookie
    assert settings.for_traced("notify", directory).cookie == settings.own_cookie()
