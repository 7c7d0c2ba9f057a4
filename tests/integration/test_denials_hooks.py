"""Hooks that judge denials and add to the summary: the example of the documentation, and what it does not show."""

import re
import textwrap
from pathlib import Path

import pytest
from denylog import DENIED, DenyLog, watched
from traced import Suite

DOCS = Path(__file__).resolve().parents[2] / "docs"

ways = pytest.mark.parametrize("options", [("-n0",), ("-n2",)], ids=["alone", "xdist"])


def documented() -> str:
    """The example in docs/denials.md."""
    section = (DOCS / "denials.md").read_text(encoding="utf-8").partition("## Hooks\n")[2]
    match = re.search(r"\n\n((?:    .*\n|\n)+)", section)
    assert match is not None
    return textwrap.dedent(match[1])


@pytest.mark.needs("audit")
@ways
def test_the_documented_example(suite: Suite, options: tuple[str, ...]) -> None:
    example = documented()
    assert "pytest_seccomp_denial" in example
    assert "pytest_seccomp_summary" in example
    suite.write("conftest.py", example.replace('"adjtimex"', '"bind"').replace('"/curl"', '""'))
    suite.write(
        "test_hooks.py",
        DENIED
        + """
def test_judged(): denied(number=BIND, name="ntpd")
def test_noted(): denied()
""",
    )
    finished, log = watched(suite, *options, plugins=["xdist"], status=1)
    records = {record["nodeid"].rpartition("::")[2]: record for record in log.records}
    assert records["test_judged"]["expected"] is True
    assert "notes" not in records["test_judged"]
    assert records["test_noted"]["expected"] is False
    assert records["test_noted"]["notes"] == ["nobody may call curl: use the client in tests/client.py"]
    assert "        nobody may call curl: use the client in tests/client.py" in finished.stdout
    assert "1 programs were denied something" in finished.stdout
    assert "1 failed, 1 passed" in finished.stdout


@pytest.mark.needs("audit")
def test_what_a_hook_is_given(suite: Suite) -> None:
    """A hook of a folder's conftest is asked for the tests of that folder, and for what belongs to none."""
    suite.write(
        "conftest.py",
        DENIED
        + """
def pytest_seccomp_denial(denial, notes, item):
    with open("told", "a") as file:
        print("root", denial.phase, denial.expected, notes, item and item.name, file=file)

def pytest_sessionfinish():
    denied()
""",
    )
    suite.write(
        "inner/conftest.py",
        """
        def pytest_seccomp_denial(item):
            with open("told", "a") as file:
                print("inner", item and item.name, file=file)
        """,
    )
    suite.write(
        "inner/test_inner.py",
        DENIED + "@pytest.mark.seccomp_expect_denied('socket')\ndef test_inner(): denied()\n",
    )
    suite.write("test_outer.py", DENIED + "def test_outer(): denied()\n")
    _, log = watched(suite, status=1)
    assert (suite.folder / "told").read_text().splitlines() == [
        "inner test_inner",
        "root call True [] test_inner",
        "root call False [] test_outer",
        "inner None",
        "root late False [] None",
    ]
    assert log.places.total() == 3


@pytest.mark.needs("audit")
@pytest.mark.parametrize(
    ("answers", "expected"),
    [("(None, True)", True), ("(False, True)", False), ("(True, False)", True), ("(None, None)", True)],
)
def test_the_first_answer_counts(suite: Suite, answers: str, expected: bool) -> None:
    suite.write(
        "conftest.py",
        f"""
        import pytest

        class First:
            @pytest.hookimpl(tryfirst=True)
            def pytest_seccomp_denial(self): return {answers}[0]

        class Second:
            @pytest.hookimpl(trylast=True)
            def pytest_seccomp_denial(self): return {answers}[1]

        def pytest_configure(config):
            config.pluginmanager.register(Second())
            config.pluginmanager.register(First())
        """,
    )
    suite.write("test_one.py", DENIED + "@pytest.mark.seccomp_expect_denied('socket')\ndef test_one(): denied()\n")
    _, log = watched(suite, status=0 if expected else 1)
    assert [record["expected"] for record in log.records] == [expected]


@pytest.mark.needs("audit")
def test_an_answer_that_is_none_is_named(suite: Suite) -> None:
    suite.write("conftest.py", "def pytest_seccomp_denial(denial): return denial.name\n")
    suite.write("test_one.py", DENIED + "def test_one(): denied()\n")
    finished = suite.run("--seccomp-deny-log=denied.ndjson").expect(3)
    assert "pytest_seccomp_denial returned 'socket': return True (expected), False (unexpected)" in finished.stdout
    (record,) = DenyLog.read(suite.folder / "denied.ndjson").records  # not lost for that
    assert (record["name"], record["phase"], record["expected"]) == ("socket", "call", False)


@ways
@pytest.mark.parametrize("hook", ["pytest_seccomp_denial(denial)", "pytest_seccomp_summary(denials)"])
def test_hooks_are_known_also_where_nothing_is_watched(suite: Suite, hook: str, options: tuple[str, ...]) -> None:
    suite.write("conftest.py", f"def {hook}: raise NotImplementedError\n")
    suite.write("test_one.py", "import sys\ndef test_one(): assert 'pytest_seccomp.plugin.asked' not in sys.modules\n")
    suite.run("--strict-markers", *options, plugins=["xdist"], python=["-W", "error"]).expect(0)


def test_the_example_does_no_harm_without_the_plugin(suite: Suite) -> None:
    suite.write("conftest.py", documented())
    suite.write("test_one.py", "def test_one(): pass\n")
    suite.run(plugins=["no:seccomp"]).expect(0)


@pytest.mark.needs("audit")
@pytest.mark.parametrize(
    ("value", "lines"),
    [("'one\\ntwo'", ["one", "two"]), ("['one', 'two']", ["one", "two"]), ("None", []), ("'\\x1b[31m'", ["\\x1b[31m"])],
)
def test_lines_of_the_summary(suite: Suite, value: str, lines: list[str]) -> None:
    suite.write("conftest.py", f"def pytest_seccomp_summary(denials): return {value}\n")
    suite.write("test_one.py", "def test_one(): pass\n")
    finished, _ = watched(suite, status=0)
    section = finished.stdout.partition("= seccomp denials: none")[2].splitlines()[2:]
    assert section[: len(lines) + 1] == [*lines, "written: denied.ndjson"]


def test_the_log_can_be_read_by_what_writes_it(tmp_path: Path) -> None:
    """The example of docs/files.md is a line of a deny log; its first one also says how many follow."""
    text = (DOCS / "files.md").read_text(encoding="utf-8").partition("## The deny log\n")[2]
    match = re.search(r"\n\n((?:    .*\n)+)", text)
    assert match is not None
    path = tmp_path / "denied.ndjson"
    path.write_text(" ".join(match[1].split()).removesuffix("}") + ', "lines": 0}\n')
    (record,) = DenyLog.read(path).records
    from pytest_seccomp.trace.denials import Denial

    assert Denial.from_object(record).members == record
