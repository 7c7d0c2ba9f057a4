"""The project's environment: a virtual environment, the requirements of pyproject.toml, and the project's wheel.

What was installed is noted in a stamp inside the environment, written after each step. A second call compares and
returns at once; an environment without a stamp is half-made and is made anew.
"""

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path

import fetch_pip

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "pytest_seccomp"
METADATA = ("pyproject.toml", "README.md", "LICENSE")  # with the package itself, all that the wheel is made of
DISTRIBUTION_WHEELS = Path("/usr/share/python-wheels")  # Debian and Ubuntu: the packages python3-pip-whl, python3-venv


class Environment:
    """A virtual environment in `folder` for this project; `lowest`: with the oldest versions the plugin accepts."""

    def __init__(self, folder: Path, lowest: bool) -> None:
        self.folder = folder
        self.lowest = lowest
        self.python = folder / "bin/python"
        self.stamp = folder / "pytest-seccomp.json"
        self.project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        self.done: dict[str, str] = {}

    def ensure(self, groups: list[str], wheel: bool) -> None:
        """Make what is missing: the environment, the requirements of `groups`, the wheel of the sources as they are."""
        base = f"{sys.version} {os.path.realpath(sys.base_prefix)} {self.folder}"  # a moved environment is a broken one
        if not self.usable(base):
            self.create()
            self.note("python", base)
        names = [*groups, "build"] if wheel else groups
        missing = {name: fingerprint(self.requirements(name)) for name in names}
        missing = {name: value for name, value in missing.items() if self.done.get(name) != value}
        if missing:
            say(f"installing what is needed to {', '.join(missing)}")
            self.pip("install", *sorted({line for name in missing for line in self.requirements(name)}))
            for name, value in missing.items():
                self.note(name, value)
        sources = fingerprint(list(source_lines()))
        if wheel and self.done.get("wheel") != sources:
            self.install_wheel()
            self.note("wheel", sources)

    def usable(self, base: str) -> bool:
        """Whether the environment was finished, for this very Python, in this very place."""
        try:
            self.done = json.loads(self.stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.done = {}
        return self.done.get("python") == base and self.python.exists()

    def note(self, step: str, value: str) -> None:
        """Put a finished step into the stamp, at once."""
        self.done[step] = value
        unfinished = self.stamp.with_suffix(".new")
        unfinished.write_text(json.dumps(self.done, indent=1) + "\n", encoding="utf-8")
        unfinished.replace(self.stamp)

    def create(self) -> None:
        """Make the environment anew, without ensurepip, and give it a pip."""
        if self.folder.exists():
            if any(self.folder.iterdir()) and not (self.folder / "pyvenv.cfg").exists():
                sys.exit(f"{self.folder} exists and is no virtual environment: name another one with VENV=")
            shutil.rmtree(self.folder)
        say(f"making {self.folder} with Python {sys.version.split()[0]}")
        self.done = {}
        venv.create(self.folder, symlinks=True, with_pip=False)
        wheel = self.pip_wheel()
        if wheel is None:
            run(self.python, "-I", "-m", "ensurepip", quiet=True)
        else:
            # A wheel is a zip file, and the pip inside it runs from there: this is how ensurepip does it too.
            run(self.python, wheel / "pip", "install", "--quiet", "--no-index", "--no-deps", wheel)

    def pip_wheel(self) -> Path | None:
        """Return a wheel of pip, or None where Python has its own in ensurepip."""
        try:
            import ensurepip  # noqa: F401  (Debian leaves it out of python3)
        except ImportError:
            pass
        else:
            return None
        for path in sorted(DISTRIBUTION_WHEELS.glob("pip-*.whl"), reverse=True):
            return path
        say("fetching pip: this Python has none")
        try:
            return fetch_pip.fetch(self.folder, dict(os.environ))
        except fetch_pip.FetchError as error:
            sys.exit(f"no pip for the environment: {error} (or install the package python3-venv)")

    def pip(self, *arguments: str) -> None:
        """Run the environment's pip."""
        run(self.python, "-I", "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments)

    def requirements(self, group: str) -> list[str]:
        """Return the requirements of a dependency group, with those of the groups that it includes."""
        if group == "build":
            return list(self.project["build-system"]["requires"])
        lines: list[str] = self.project["project"]["dependencies"]
        if self.lowest:
            lines = [line.split(",")[0].replace(">=", "==") for line in lines]
        for entry in self.project["dependency-groups"][group]:
            lines = [*lines, *(self.requirements(entry["include-group"]) if isinstance(entry, dict) else [entry])]
        return lines

    def install_wheel(self) -> None:
        """Build the wheel and install it in place of the one before."""
        say("building and installing the wheel")
        built = self.folder / "wheel"
        shutil.rmtree(built, ignore_errors=True)
        self.pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(built), str(ROOT))
        self.pip("install", "--force-reinstall", "--no-deps", *map(str, built.glob("*.whl")))
        self.pip("check")


def fingerprint(lines: list[str]) -> str:
    """Return a digest of `lines`."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def source_lines() -> Iterator[str]:
    """Name every file that goes into the wheel, with the digest of its content."""
    files = [path for path in (ROOT / PACKAGE).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    for path in sorted([*files, *(ROOT / name for name in METADATA)]):
        yield f"{path.relative_to(ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def say(text: str) -> None:
    """Tell what takes its time."""
    print(f"[environment] {text}", flush=True)


def run(*command: str | Path, quiet: bool = False) -> None:
    """Run a step to its end; what it printed is enough of an error."""
    result = subprocess.run(list(map(str, command)), stdout=subprocess.DEVNULL if quiet else None, check=False)
    if result.returncode != 0:
        sys.exit(f"[environment] failed with exit status {result.returncode}: {' '.join(map(str, command))}")


def main() -> None:
    """Read the command line and make the environment, one process at a time."""
    parser = argparse.ArgumentParser(prog="tools/environment.py", description="Make or refresh the environment.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the environment is or will be")
    parser.add_argument("--group", action="append", default=[], help="a dependency group of pyproject.toml to install")
    parser.add_argument("--wheel", action="store_true", help="build the project's wheel and install it")
    parser.add_argument(
        "--lowest", action="store_true", help="take the lower bound of each thing that the plugin depends on"
    )
    arguments = parser.parse_args()
    folder: Path = arguments.folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(folder.name + ".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        Environment(folder, arguments.lowest).ensure(arguments.group, arguments.wheel)
