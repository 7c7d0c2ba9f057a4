"""The documentation names every option and every command that there is, and no other."""

import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"


def output(*arguments: str, cwd: Path) -> str:
    """Return what `python -m ...` prints."""
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout


def headings(page: str) -> set[str]:
    """Return the first word of each heading of the second level that is code."""
    return set(re.findall(r"^## `([\w-]+)", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE))


def test_options(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    text = output("pytest", "--help", cwd=tmp_path)
    assert headings("options.md") == set(re.findall(r"--(?:no-)?seccomp-[\w-]+", text))


def test_ini_options(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    text = output("pytest", "--help", cwd=tmp_path)
    documented = re.findall(r"^\| `(seccomp_\w+)` \| ", (DOCS / "options.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(documented) == set(re.findall(r"^  (seccomp_\w+)", text, re.MULTILINE))


def test_commands(tmp_path: Path) -> None:
    """argparse lists the commands in braces in its first line of usage."""
    usage = output("pytest_seccomp", "--help", cwd=tmp_path)
    (commands,) = set(re.findall(r"{([\w,-]+)}", usage))
    assert headings("command-line.md") == set(commands.split(","))
