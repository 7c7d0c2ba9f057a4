"""Our own modules: Python imports them, pytest rewrites none of them, and nothing of that is left for tests to see."""

import json
from collections.abc import Sequence

import pytest
from traced import Suite

pytestmark = pytest.mark.needs("listener")

BY_PYTEST = ["pytest_seccomp", "pytest_seccomp.plugin", "pytest_seccomp.plugin.importing"]
"""What pytest imports before anything of ours could say how."""

AT_EXIT = """
    import atexit, json, os, sys

    def loaders(process=os.environ.get("PYTEST_XDIST_WORKER", "pytest")):
        ours = {name: module for name, module in sys.modules.items() if name.startswith("pytest_seccomp")}
        with open(f"{process}.json", "w") as file:
            json.dump({name: type(module.__loader__).__name__ for name, module in ours.items()}, file)

    atexit.register(loaders)
"""

TESTS = """
    import os, socket
    import pytest

    @pytest.mark.seccomp(deny=["@internet"])
    @pytest.mark.seccomp_expect_denied("socket")
    def test_policy():
        with pytest.raises(PermissionError):
            socket.socket()

    def test_block(seccomp_trace):
        with seccomp_trace() as trace:
            os.getppid()
        assert "getppid" in trace

    def test_sandbox(seccomp_run):
        assert seccomp_run(["true"], deny=["@internet"]).returncode == 0
"""


@pytest.fixture
def asking(suite: Suite) -> Suite:
    """A suite that asks for all that is imported late, and writes down, for each process, who has imported our
    modules."""
    suite.write("conftest.py", AT_EXIT)
    suite.write("test_asking.py", TESTS)
    return suite


def expect_by_python(suite: Suite, process: str = "pytest") -> None:
    loaders: dict[str, str] = json.loads((suite.folder / f"{process}.json").read_text())
    assert len(loaders) > 40
    assert [name for name, loader in sorted(loaders.items()) if loader != "SourceFileLoader"] == BY_PYTEST


TRACED = ("--seccomp-trace=out.ndjson", "--seccomp-deny-log=denied.ndjson", "--seccomp-deny-source=supervised")


@pytest.mark.parametrize("options", [TRACED, ()], ids=["traced", "no option"])
def test_as_a_user_runs_it(asking: Suite, options: Sequence[str]) -> None:
    """All plugins of the environment are found by their entry points, and pytest rewrites what belongs to them."""
    asking.run(*options, "-W", "error::pytest.PytestAssertRewriteWarning", plugins=None).expect(0)
    expect_by_python(asking)


def test_by_xdist(asking: Suite) -> None:
    asking.run(*TRACED, "-n1", plugins=None).expect(0)
    expect_by_python(asking, "gw0")
    expect_by_python(asking)


def test_with_a_profile(asking: Suite) -> None:
    asking.trace("-k", "policy")
    asking.run("--seccomp-profile=out.ndjson", "--seccomp-backend=notify", "-k", "policy", plugins=None).expect(0)
    expect_by_python(asking)


@pytest.mark.parametrize("how", ["-p", "PYTEST_PLUGINS"])
def test_by_the_name_of_its_module(asking: Suite, how: str) -> None:
    environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    options = ["-p", "pytest_seccomp.plugin"]
    if how == "PYTEST_PLUGINS":
        environment["PYTEST_PLUGINS"] = options.pop()
        options.clear()
    asking.run(*TRACED, *options, "-W", "error", plugins=None, environment=environment).expect(0)
    loaders = json.loads((asking.folder / "pytest.json").read_text())
    assert len(loaders) > 40
    rewritten = [name for name, loader in sorted(loaders.items()) if loader != "SourceFileLoader"]
    assert rewritten == ["pytest_seccomp.plugin", "pytest_seccomp.plugin.importing"]


def test_the_recorder_starts_before_the_rest_is_imported(suite: Suite) -> None:
    """The two of them take equally long."""
    suite.write(
        "noting.py",
        """
        import os, pathlib, sys

        spawn = os.posix_spawn

        def spawn_and_note(path, command, *arguments, **settings):
            if "pytest_seccomp.recorder.process" in command[-1]:
                with open("modules", "a") as file:
                    print(*sys.modules, file=file)
            return spawn(path, command, *arguments, **settings)

        os.posix_spawn = spawn_and_note
        """,
    )
    suite.write("test_one.py", "def test_one(): pass\n")
    suite.trace(plugins=["noting"])
    (modules,) = (suite.folder / "modules").read_text().splitlines()
    assert set(modules.split()) & {"pytest_seccomp.plugin.start", "pytest_seccomp.trace.store"} == set()


def test_who_finds_modules_is_as_without_us(suite: Suite) -> None:
    """For conftests, for tests, and for what comes after a fixture of ours."""
    suite.write("conftest.py", "import finders\nfinders.note()\n")
    suite.write(
        "finders.py",
        """
        import json, sys

        def note():
            names = [getattr(finder, "__qualname__", type(finder).__qualname__) for finder in sys.meta_path]
            with open("finders", "a") as file:
                file.write(json.dumps(names) + "\\n")
        """,
    )
    suite.write(
        "test_finders.py",
        """
        import finders, pytest

        @pytest.fixture
        def asking(request):
            if request.config.pluginmanager.has_plugin("seccomp"):
                for name in ("seccomp_trace", "seccomp_run"):
                    request.getfixturevalue(name)

        def test_before():
            finders.note()

        def test_after(asking):
            finders.note()
        """,
    )

    def noted(*options: str, plugins: list[str]) -> list[list[str]]:
        suite.run(*options, plugins=plugins).expect(0)
        lines = (suite.folder / "finders").read_text().splitlines()
        (suite.folder / "finders").unlink()
        return [json.loads(line) for line in lines]

    without = noted(plugins=["no:seccomp"])
    assert len(without) == 3
    assert "AssertionRewritingHook" in without[0]
    assert noted("--seccomp-trace=out.ndjson", plugins=["seccomp"]) == without
