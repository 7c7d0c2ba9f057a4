"""Without an option of ours a run is as if the plugin were not installed."""

import json
import re
import sys

import pytest
from traced import Finished, Suite

OTHERS = ["xdist", "timeout", "anyio"]

ENTRY = {"pytest_seccomp", "pytest_seccomp.plugin"}
"""The modules of ours that there are: that of the entry point, and the package that it is in."""


def text(finished: Finished) -> str:
    """What a run printed, but for times and the lines that they shorten, the list of plugins and the path of the
    interpreter, which is in a checkout."""
    output = re.sub(r"=+|\d+\.\d\ds", "", finished.output.replace(sys.executable, ""))
    return "".join(line for line in output.splitlines(keepends=True) if not line.startswith("plugins: "))


@pytest.fixture
def observing(suite: Suite) -> Suite:
    """A suite whose only test writes down what it sees of its process."""
    suite.write(
        "test_observing.py",
        """
        import json, os, pathlib, re, sys, threading

        def test_observing(request, pytestconfig):
            manager = pytestconfig.pluginmanager
            status = pathlib.Path("/proc/self/status").read_text().splitlines()
            seen = {
                "modules": sorted(sys.modules),
                "plugins": sorted(name for name, plugin in manager.list_name_plugin() if plugin and not name.isdigit()),
                "environment": dict(os.environ),
                "descriptors": len(os.listdir("/proc/self/fd")),
                "status": [line for line in status if re.match("Seccomp|NoNewPrivs|Sig[BIC]", line)],
                "threads": threading.active_count(),
                "children": pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text(),
            }
            name = os.environ.get("PYTEST_XDIST_WORKER", "seen") + ".json"
            pathlib.Path(name).write_text(json.dumps(seen))
        """,
    )
    return suite


@pytest.mark.parametrize(
    ("arguments", "ini"),
    [([], ""), (["-n", "1"], ""), (["-p", "no:cacheprovider"], ""), ([], "seccomp_backend = notify")],
    ids=["one process", "xdist", "no cache", "a backend in the ini file"],
)
def test_no_import_and_nothing_that_shows(observing: Suite, arguments: list[str], ini: str) -> None:
    observing.write("pytest.ini", f"[pytest]\n{ini}\n")
    name = "gw0.json" if "-n" in arguments else "seen.json"
    observing.run(*arguments, plugins=OTHERS, python=["-W", "error"]).expect(0)
    with_it = json.loads((observing.folder / name).read_text())
    (observing.folder / name).unlink()
    observing.run(*arguments, plugins=["no:seccomp", *OTHERS], python=["-W", "error"]).expect(0)
    without = json.loads((observing.folder / name).read_text())
    assert set(with_it.pop("modules")) - set(without.pop("modules")) == ENTRY
    assert set(with_it.pop("plugins")) - set(without.pop("plugins")) == {"seccomp"}
    for seen in (with_it, without):
        del seen["environment"]["PYTEST_CURRENT_TEST"]
        seen["environment"].pop("PYTEST_XDIST_TESTRUNUID", None)
    assert with_it == without


@pytest.mark.parametrize("question", ["--help", "--markers", "--fixtures", "--collect-only"])
def test_no_import_for_a_question(suite: Suite, question: str) -> None:
    suite.write("test_one.py", "def test_one(): pass\n")
    suite.write(
        "at_exit.py",
        """
        import atexit, pathlib, sys
        atexit.register(lambda: pathlib.Path("modules").write_text(" ".join(sys.modules)))
        """,
    )

    def modules(*plugins: str) -> set[str]:
        suite.run(question, plugins=[*plugins, "at_exit", *OTHERS]).expect(0)
        return set((suite.folder / "modules").read_text().split())

    assert modules() - modules("no:seccomp") == ENTRY


def test_hardly_an_import_where_options_take_others_back(observing: Suite) -> None:
    switched_off = ["--seccomp-trace=out.ndjson", "--seccomp-deny-log=denied.ndjson"]
    switched_off += ["--no-seccomp-trace", "--no-seccomp-deny-log"]
    observing.run(*switched_off, python=["-W", "error"]).expect(0)
    modules = json.loads((observing.folder / "seen.json").read_text())["modules"]
    ours = {name for name in modules if name.startswith("pytest_seccomp")}
    assert ours == ENTRY | {f"pytest_seccomp.{name}" for name in ("plugin.importing", "plugin.asked", "errors")}


@pytest.mark.parametrize("verbosity", ["-q", "-v", "-vv"])
def test_no_header_no_summary_no_warning(suite: Suite, verbosity: str) -> None:
    suite.write("test_one.py", "def test_one(): pass\ndef test_two(): assert False\n")
    with_it = suite.run(verbosity, "-W", "error", python=["-W", "error"]).expect(1)
    without = suite.run(verbosity, "-W", "error", plugins=["no:seccomp"], python=["-W", "error"]).expect(1)
    assert text(with_it) == text(without)
    assert "seccomp" not in text(with_it)
    assert "system call" not in text(with_it)


def test_the_plugin_can_be_switched_off_although_an_ini_file_speaks_of_it(suite: Suite) -> None:
    suite.write("pytest.ini", "[pytest]\nseccomp_backend = notify\n")
    suite.write("test_one.py", "def test_one(): pass\n")
    finished = suite.run(plugins=["no:seccomp"]).expect(0)
    assert "Unknown config option: seccomp_backend" in finished.stdout


ELSEWHERE = """
    import os, subprocess, sys
    import pytest

    @pytest.mark.parametrize("arguments, status", {cases})
    def test_where_tracing_cannot_be_had(arguments, status):
        command = [sys.executable, "-m", "pytest", "-p", "seccomp", "-c", "inner.ini", "--rootdir=.", *arguments]
        result = subprocess.run(command, capture_output=True, text=True, cwd="inner")
        print(result.stdout, result.stderr)
        assert result.returncode == status
        assert os.listdir("inner") == ["inner.ini"]
"""


@pytest.mark.needs("listener")
def test_help_works_where_tracing_does_not(suite: Suite) -> None:
    """A run inside of a traced test has no listener to be had; the option is in its ini file."""
    options = "--seccomp-trace=inner.ndjson --seccomp-backend=notify -p no:cacheprovider"
    suite.write("inner/inner.ini", f"[pytest]\naddopts = {options}\n")
    cases = [(["--help"], 0), (["-h"], 0), (["--version"], 0), (["-VV"], 0), ([], 4)]
    suite.write("test_elsewhere.py", ELSEWHERE.format(cases=cases))
    finished = suite.run("--seccomp-trace=out.ndjson", "-rP").expect(0)
    assert "--seccomp-trace=PATH" in finished.stdout
    assert "pytest-seccomp: backend notify: this process is under another seccomp listener already" in finished.stdout


@pytest.mark.needs("listener")
@pytest.mark.parametrize("question", ["--markers", "--fixtures", "--cache-show", "--setup-plan"])
def test_a_question_instead_of_a_run_leaves_nothing_behind(suite: Suite, question: str) -> None:
    suite.write("test_one.py", "def test_one(): pass\n")
    temporary = suite.folder.parent / "tmp"
    temporary.mkdir()
    environment = {"TMPDIR": str(temporary)}
    suite.run("--seccomp-trace=out.ndjson", question, environment=environment).expect(0)
    assert [path.name for path in temporary.iterdir() if "seccomp" in path.name] == []
