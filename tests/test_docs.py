"""The documentation names every option and every command that there is, and no other."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from traces import X86_64, run, spooled_other, spooled_test, write_spool

from pytest_seccomp import plugin
from pytest_seccomp.cli import main
from pytest_seccomp.formats import hooks
from pytest_seccomp.trace.store import Destination, write_trace

DOCS = Path(__file__).resolve().parent.parent / "docs"


def output(*arguments: str, cwd: Path) -> str:
    """Return what `python -m ...` prints."""
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout


def headings(page: str) -> set[str]:
    """Return the first word of each heading of the second level that is code."""
    return set(re.findall(r"^## `([\w-]+)", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE))


def asked(folder: Path, question: str) -> str:
    """What `pytest --help` and the like say where there is no suite."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    return output("pytest", question, cwd=folder)


@pytest.fixture(scope="session")
def pytest_help(tmp_path_factory: pytest.TempPathFactory) -> str:
    return asked(tmp_path_factory.mktemp("help"), "--help")


def test_options(pytest_help: str) -> None:
    assert headings("options.md") == set(re.findall(r"--(?:no-)?seccomp-[\w-]+", pytest_help))


def test_ini_options(pytest_help: str) -> None:
    documented = re.findall(r"^\| `(seccomp_\w+)` \| ", (DOCS / "options.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(documented) == set(re.findall(r"^  (seccomp_\w+)", pytest_help, re.MULTILINE))


def test_commands(tmp_path: Path) -> None:
    """argparse lists the commands in braces in its first line of usage."""
    usage = output("pytest_seccomp", "--help", cwd=tmp_path)
    (commands,) = set(re.findall(r"{([\w,-]+)}", usage))
    assert headings("command-line.md") == set(commands.split(","))


def names(section: str, *, column: int = 0) -> set[str]:
    """The words that are code in a column of the tables of a section of the reference."""
    text = (DOCS / "reference.md").read_text(encoding="utf-8")
    part = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:] for line in part.splitlines() if line.startswith("| ")]
    return {name for row in rows for name in re.findall(r"`([\w-]+)`", row[column])}


def test_the_reference_has_all_that_pytest_knows_of_us(pytest_help: str, tmp_path: Path) -> None:
    assert names("Options of pytest") == set(re.findall(r"--(?:no-)?seccomp-[\w-]+", pytest_help))
    assert names("Options of pytest", column=1) == set(re.findall(r"^  (seccomp_\w+)", pytest_help, re.MULTILINE))
    markers, fixtures = asked(tmp_path, "--markers"), asked(tmp_path, "--fixtures")
    assert names("Markers") == set(re.findall(r"^@pytest\.mark\.(seccomp\w*)\(", markers, re.MULTILINE))
    assert names("Fixtures") == set(re.findall(r"^(seccomp\w+) \[session scope\]", fixtures, re.MULTILINE))


def test_the_reference_has_all_hooks() -> None:
    specified = [*vars(plugin._Hooks), *vars(hooks.Specification)]
    assert names("Hooks") == {name for name in specified if not name.startswith("_")}


def test_the_reference_has_all_commands_and_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    def options(*arguments: str) -> set[str]:
        assert main([*arguments, "--help"]) == 0
        return set(re.findall(r"^  (?:-\w(?: \w+)?, )?(--[\w-]+)", capsys.readouterr().out, re.MULTILINE))

    main(["--help"])
    commands = capsys.readouterr().out.partition("{")[2].partition("}")[0].split(",")
    assert names("Commands") == set(commands)
    text = (DOCS / "reference.md").read_text(encoding="utf-8")
    for command in commands:
        (row,) = re.findall(rf"^\| `{command}` \|(.*?)\|", text, re.MULTILINE)
        assert set(re.findall(r"`(--[\w-]+)`", row)) == options(command) - {"--help", "--json"}, command
        page = (DOCS / "command-line.md").read_text(encoding="utf-8")
        section = page.partition(f"\n## `{command}`\n")[2].partition("\n## ")[0]
        assert [option for option in options(command) - {"--help", "--json"} if option not in section] == [], command


@pytest.mark.needs("jq")
def test_queries_with_jq(tmp_path: Path) -> None:
    """Each query of the guide, in its order."""
    read, openat, execve = (X86_64, 0), (X86_64, 257), (X86_64, 59)
    spool = write_spool(
        tmp_path / "spool",
        [
            spooled_other("collect", {read: 10, (X86_64, 39): 1}),
            spooled_test("a.py::one", [[*read, {"call": 2}], [*openat, {"setup": 1, "call": 1}]]),
            spooled_test("a.py::two", [[*execve, {"call": 1}], [*openat, {"call": 3}], [0x40000003, 20, {"call": 1}]]),
            spooled_test("b.py::none", []),
            spooled_other("harness", {read: 99}),
        ],
    )
    write_trace(Destination.check(tmp_path / "out.ndjson"), run(), [spool])
    text = (DOCS / "queries.md").read_text(encoding="utf-8").partition("\n## DuckDB\n")[0]
    queries = re.findall(r"^    jq .*\n(?:     .*\n)*", text, re.MULTILINE)
    answers = [
        subprocess.run(["sh", "-c", query], cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split("\n")
        for query in queries
    ]
    assert [answer[:-1] for answer in answers] == [
        ["true"],
        ["execve", "getpid", "openat", "read"],
        ["12\t1\tread", "5\t2\topenat", "1\t1\tgetpid", "1\t0\tgetpid", "1\t1\texecve"],
        ["getpid"],
        ["3\ta.py::two", "2\ta.py::one"],
        ["a.py::two"],
        ["4\ta.py", "0\tb.py"],
        ["execve\ta.py::two", "getpid\ta.py::two", "read\ta.py::one"],
    ]
