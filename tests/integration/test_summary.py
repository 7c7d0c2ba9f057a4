"""What the user reads in the terminal: the line in the header, the section at the end."""

import re
from itertools import pairwise

import pytest
from traced import Finished, Suite

pytestmark = pytest.mark.needs("listener")

LOOP = """
    import os

    def test_loop():
        for _ in range(1500):
            os.getppid()

    def test_other():
        os.getppid(), os.getpgid(0)
"""


@pytest.fixture
def loop(suite: Suite) -> Suite:
    """Two tests that make 1501 getppid and one getpgid."""
    suite.write("test_loop.py", LOOP)
    return suite


def section(finished: Finished) -> list[str]:
    """The lines of our section, its title included, without the separators of the title."""
    lines = finished.stdout.splitlines()
    titles = [number for number, line in enumerate(lines) if line.startswith("=")]
    for start, end in pairwise([*titles, len(lines)]):
        if "system calls" in lines[start]:
            return [lines[start].strip("= "), *lines[start + 1 : end]]
    return []


def test_the_header_says_what_traces_and_where_to(loop: Suite) -> None:
    finished = loop.run("--seccomp-trace=some/where.ndjson").expect(0)
    header = [line for line in finished.stdout.splitlines() if line.startswith("seccomp: ")]
    assert len(header) == 1
    assert header[0].startswith("seccomp: backend notify, trace to some/where.ndjson")
    appended = loop.run("--seccomp-trace=some/where.ndjson", "--seccomp-trace-append").expect(0)
    assert "seccomp: backend notify, trace added to some/where.ndjson" in appended.stdout


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("../out.ndjson", "{above}/out.ndjson"),
        ("{folder}/some/../out.ndjson", "out.ndjson"),
        ("link.ndjson", "{above}/behind.ndjson"),
        ("~/out.ndjson", "home/out.ndjson"),
    ],
    ids=["above", "absolute", "a link", "home"],
)
def test_header_and_summary_name_the_file_in_one_way(loop: Suite, path: str, shown: str) -> None:
    """From where pytest was started, if it lies below; else the whole path."""
    above = loop.folder.parent
    (loop.folder / "link.ndjson").symlink_to(above / "behind.ndjson")
    path, shown = path.format(folder=loop.folder), shown.format(above=above)
    finished = loop.run(f"--seccomp-trace={path}", environment={"HOME": str(loop.folder / "home")}).expect(0)
    tests = shown.replace(".ndjson", ".tests.ndjson")
    assert f"seccomp: backend notify, trace to {shown}" in finished.stdout
    assert f"written: {shown}, {tests}\n" in finished.stdout
    assert (loop.folder / shown).is_file()


@pytest.mark.needs("root")
def test_the_header_says_nothing_of_privileges_where_they_stay(loop: Suite) -> None:
    assert "no_new_privs" not in loop.run("--seccomp-trace=out.ndjson").expect(0).output


@pytest.mark.needs("unprivileged")
def test_the_header_says_that_programs_gain_no_privileges(loop: Suite) -> None:
    finished = loop.run("--seccomp-trace=out.ndjson").expect(0)
    assert "; no_new_privs is set: programs such as sudo and ping do not gain privileges\n" in finished.stdout


def test_the_section(loop: Suite) -> None:
    finished = loop.run("--seccomp-trace=out.ndjson").expect(0)
    trace = finished.trace()
    collection = sum(trace.collections[0].counts.values())
    harness = sum(trace.harnesses[0].counts.values())
    figures = (
        f"2 tests, {1502 + collection:,} calls of {len(trace.records)} kinds: "
        f"1,502 in tests, {collection:,} in collection; {harness:,} in the harness, left out"
    )
    assert section(finished) == [
        "system calls: notify, complete",
        figures,
        "written: out.ndjson, out.tests.ndjson",
        "",
    ]


def test_the_table_of_calls(loop: Suite) -> None:
    finished = loop.run("--seccomp-trace=out.ndjson", "-v").expect(0)
    trace = finished.trace()
    title, figures, head, *rows, written, end = section(finished)
    assert (title, written[:9], end) == ("system calls: notify, complete", "written: ", "")
    assert figures.startswith(f"2 tests, {sum(trace.counts.values()):,} calls of {len(rows)} kinds: ")
    assert head.split() == ["count", "tests", "collection", "system", "call"]
    assert rows[0].split() == ["1,501", "2", "getppid"]
    found = sorted(trace.records, key=lambda record: -record["count"])
    # What is 0 is left out
    numbers = [[record[key] for key in ("count", "tests", "collection") if record[key]] for record in found]
    expected = [[*(f"{n:,}" for n in row), record["name"]] for row, record in zip(numbers, found, strict=True)]
    assert [row.split() for row in rows] == expected


@pytest.mark.parametrize("quiet", ["-q", "-qq"])
def test_quiet_runs_say_nothing(loop: Suite, quiet: str) -> None:
    finished = loop.run("--seccomp-trace=out.ndjson", quiet).expect(0)
    assert "system calls" not in finished.output
    assert "seccomp" not in finished.output
    assert finished.trace().counts["getppid"] == 1501


def test_one_section_for_all_workers(loop: Suite) -> None:
    finished = loop.run("--seccomp-trace=out.ndjson", "-n", "2", plugins=["xdist"]).expect(0)
    assert finished.stdout.count("system calls: ") == 1
    assert finished.stdout.count("seccomp: backend") == 1
    assert section(finished)[1].startswith("2 tests, ")


@pytest.mark.parametrize("quiet", [[], ["-q"]], ids=["default", "quiet"])
def test_an_incomplete_trace_is_named_also_when_quiet(suite: Suite, quiet: list[str]) -> None:
    suite.write("test_ends.py", "import pytest\ndef test_ends(): pytest.exit('enough')\n")
    finished = suite.run("--seccomp-trace=out.ndjson", *quiet).expect(2)
    assert not finished.trace().complete
    title, _, *rest = section(finished)
    assert title == "system calls: notify, INCOMPLETE"
    assert rest[:4] == [
        "INCOMPLETE: calls may be missing:",
        "  the session was interrupted",
        "  test_ends.py::test_ends did not finish",
        "written: out.ndjson, out.tests.ndjson",
    ]


@pytest.mark.parametrize("quiet", [[], ["-q"]], ids=["default", "quiet"])
def test_an_incomplete_trace_is_named_where_pytest_has_no_summary(suite: Suite, quiet: list[str]) -> None:
    # Not with an exit status that pytest does not know
    suite.write("test_ends.py", "import pytest\ndef test_ends(): pytest.exit('enough', returncode=7)\n")
    finished = suite.run("--seccomp-trace=out.ndjson", *quiet).expect(7)
    assert finished.trace().test("test_ends").outcome is None
    assert not finished.trace().complete
    assert section(finished) == []
    assert finished.stderr == (
        "pytest-seccomp: the trace in out.ndjson is incomplete:\n"
        "pytest-seccomp: the session was interrupted\n"
        "pytest-seccomp: test_ends.py::test_ends did not finish\n"
    )


def test_the_columns_of_a_narrow_terminal_are_kept(loop: Suite) -> None:
    narrow = loop.run("--seccomp-trace=out.ndjson", "-v", environment={"COLUMNS": "60"}).expect(0)
    assert section(narrow)[0] == "system calls: notify, complete"


def test_colours(loop: Suite) -> None:
    finished = loop.run("--seccomp-trace=out.ndjson", "--color=yes").expect(0)
    assert re.search(r"\x1b\[32m=+ .*system calls: notify, complete", finished.stdout)
