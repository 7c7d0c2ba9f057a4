"""The layout of docs/design.md, held by tests: which room may import which, and how large a file may grow."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_seccomp

PACKAGE = Path(pytest_seccomp.__file__).parent

# From the bottom up: a room imports from itself and from rooms before it. "" is the package's own __init__.py.
ROOMS = (
    *("", "errors", "linux", "trace", "profile", "formats", "recorder", "sandbox", "gate", "plugin", "cli"),
    "__main__",
)

FILES = sorted(PACKAGE.rglob("*.py"))
every_file = pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])


def room_of(module: str) -> str:
    """Return the room of a module's dotted name."""
    return [*module.split("."), ""][1]


def name_of(path: Path) -> str:
    """Return the dotted name of the module in `path`."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and name of each module that the file imports, wherever in it, by statement or by a name in a string.

    `from package import name` counts as an import of package.name, which may be a module.
    """
    parent = name_of(path).split(".")
    if path.name != "__init__.py":
        parent.pop()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = parent[: len(parent) - node.level + 1] if node.level else []
            origin = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                yield node.lineno, f"{origin}.{alias.name}"
        elif isinstance(node, ast.Constant) and re.fullmatch(r"pytest_seccomp(\.\w+)+", str(node.value)):
            yield node.lineno, str(node.value)


def imports_of(path: Path, package: str) -> list[str]:
    """Return "line N: module" for each module of `package` that the file imports."""
    return [
        f"line {line}: {module}"
        for line, module in imports(path)
        if module == package or module.startswith(package + ".")
    ]


@every_file
def test_a_room_imports_only_from_rooms_below_it(path: Path) -> None:
    own = room_of(name_of(path))
    assert own in ROOMS, (
        f"{own} has no place among the rooms: give it one in {Path(__file__).name} and in docs/design.md"
    )
    above = set(ROOMS[ROOMS.index(own) + 1 :])
    wrong = [
        f"line {line}: {module}"
        for line, module in imports(path)
        if module.startswith("pytest_seccomp.") and room_of(module) in above
    ]
    assert wrong == []


@every_file
def test_ctypes_is_imported_in_linux_only(path: Path) -> None:
    if room_of(name_of(path)) != "linux":
        assert imports_of(path, "ctypes") == []


@pytest.mark.parametrize("room", ["linux", "trace", "profile", "formats", "recorder", "sandbox", "gate"])
def test_pytest_is_imported_by_the_plugin_and_the_commands_only(room: str) -> None:
    wrong = {
        name_of(path): found
        for path in FILES
        if room_of(name_of(path)) == room
        for package in ("pytest", "_pytest", "xdist", *(["pluggy"] if room != "formats" else []))
        if (found := imports_of(path, package))
    }
    assert wrong == {}


@every_file
def test_no_file_has_more_than_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_the_entry_module_has_at_most_140_lines() -> None:
    """It is parsed at each start of pytest where bytecode cannot be written."""
    assert len((PACKAGE / "plugin/__init__.py").read_text(encoding="utf-8").splitlines()) <= 140


def test_importing_the_entry_module_imports_nothing_else_of_ours() -> None:
    """Nor pyseccomp and filelock: every pytest run imports the entry module, also one that uses no option of ours."""
    code = (
        "import sys, pytest; before = set(sys.modules); import pytest_seccomp.plugin; print(*set(sys.modules) - before)"
    )
    result = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    new = set(result.stdout.split())
    assert {name for name in new if name.startswith("pytest_seccomp")} == {"pytest_seccomp", "pytest_seccomp.plugin"}
    assert new & {"pyseccomp", "filelock", "ctypes"} == set()
