"""Formats that packages add, by pluggy and entry points."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from commands import write

from pytest_seccomp.cli import main
from pytest_seccomp.errors import SeccompError
from pytest_seccomp.formats import Format, Profile, Written, hooks

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/firejail"

Package = Callable[[str], None]
"""Installs a package, given its module."""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    def install(text: str) -> None:
        (tmp_path / "added_formats.py").write_text(text)
        info = tmp_path / "added-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: added\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[pytest_seccomp]\nwhatever = added_formats\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "added_formats", raising=False)

    return install


@pytest.mark.needs("package-building")
def test_the_example_is_a_package_that_adds_a_format(tmp_path: Path) -> None:
    """Installed as users do it, into a folder of its own."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    built = [*pip, "--no-build-isolation", "--no-compile", "--target", str(tmp_path / "packages"), str(EXAMPLE)]
    subprocess.run(built, check=True, capture_output=True, text=True)
    command = [sys.executable, "-m", "pytest_seccomp", "generate", str(write(tmp_path)), "--format=firejail", "--bare"]
    paths = [str(tmp_path / "packages"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    left_out = "Left out, for seccomp.keep is for the machine's own calls: i386:exit."
    assert (result.returncode, result.stderr) == (0, f"pytest-seccomp: warning: {left_out}\n")
    assert result.stdout.splitlines() == [
        "# Made by pytest-seccomp generate.",
        f"# {left_out}",
        "# Called in out.ndjson",
        "seccomp-error-action EPERM",
        "seccomp.keep getpid,read",
    ]


def test_ours_come_first_and_in_order() -> None:
    assert [*hooks.all_formats()][:7] == ["oci", "nucleus", "systemd", "kubernetes", "minijail", "bpf", "names"]


ADDED = """
from pytest_seccomp.formats import Format, Written, hookimpl

@hookimpl
def seccomp_profile_formats():
    return [Format({name!r}, "a test", lambda profile: Written(b""), ("log",))]
"""


def test_a_package_adds_a_format(package: Package) -> None:
    package(ADDED.format(name="added"))
    assert hooks.find("added").description == "a test"
    with pytest.raises(SeccompError, match=r"no profile format is named 'addet': did you mean added\?"):
        hooks.find("addet")


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (ADDED.format(name="oci"), "there is a format named 'oci' already"),
        ("import gone_for_good", "ModuleNotFoundError: No module named 'gone_for_good'"),
        (ADDED.format(name="x").replace("profile_formats", "profile_format"), "PluginValidationError: "),
        (ADDED.format(name="x").replace("return [", "return 7, ["), "7 is no pytest_seccomp.formats.Format"),
        (ADDED.format(name="x").replace('"log"', "1 / 0"), "ZeroDivisionError: division by zero"),
    ],
)
def test_a_package_that_fails_is_named_and_spoils_nothing_else(package: Package, module: str, reason: str) -> None:
    package(module)
    assert hooks.find("oci").name == "oci"
    with pytest.raises(SeccompError) as raised:
        hooks.find("added")
    assert str(raised.value).startswith(f"added adds profile formats (added_formats) and fails: {reason}")
    assert "\n" not in str(raised.value)


def test_a_format_that_fails_is_named(package: Package, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    package(ADDED.format(name="added").replace('Written(b"")', "profile.gone"))
    assert main(["generate", str(write(tmp_path)), "--format=added", "-o", str(tmp_path / "out.profile")]) == 2
    reason = "AttributeError: 'Profile' object has no attribute 'gone'"
    message = f"the format 'added' fails: {reason}: tell those who have made it"
    assert capsys.readouterr() == ("", f"pytest-seccomp: error: {message}\n")
    assert not (tmp_path / "out.profile").exists()


def test_an_action_is_one_of_the_formats() -> None:
    def nothing(profile: Profile) -> Written:
        return Written(b"")

    actions: Iterable[tuple[str, ...]] = [("errno:EPERM", "log"), ("errno:ENOSYS", "errno", "log")]
    first, second = (Format("x", "a test", nothing, given) for given in actions)
    assert [str(format.action(None)) for format in (first, second)] == ["errno:EPERM", "errno:ENOSYS"]
