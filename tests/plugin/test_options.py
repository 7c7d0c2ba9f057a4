"""Options: from the command line before the ini file, and refused in one line."""

from types import SimpleNamespace
from typing import cast

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.plugin.options import Options
from pytest_seccomp.recorder import backends


def config(
    trace: str | None = "out.ndjson", append: bool | None = None, backend: str | None = None, ini: str = ""
) -> pytest.Config:
    """What Options looks at."""
    namespace = SimpleNamespace(seccomp_trace=trace, seccomp_trace_append=append, seccomp_backend=backend)
    return cast(pytest.Config, SimpleNamespace(known_args_namespace=namespace, getini={"seccomp_backend": ini}.get))


def test_defaults() -> None:
    assert Options.of(config()) == Options("out.ndjson", False, "auto")


def test_appending() -> None:
    assert Options.of(config(append=True)).append is True


@pytest.mark.parametrize(
    ("option", "ini", "backend"),
    [(None, "", "auto"), (None, "notify", "notify"), ("auto", "notify", "auto"), ("notify", "nonsense", "notify")],
)
def test_the_command_line_is_before_the_ini_file(option: str | None, ini: str, backend: str) -> None:
    assert Options.of(config(backend=option, ini=ini)).backend == backend


def test_auto_tries_several_backends_and_a_name_is_that_one_alone() -> None:
    assert Options.of(config()).candidates == backends.NAMES
    assert Options.of(config(backend="notify")).candidates == ("notify",)


def test_appending_to_nothing_is_refused() -> None:
    with pytest.raises(SeccompError, match=r"^--seccomp-trace-append needs --seccomp-trace=PATH to say where to$"):
        Options.of(config(trace=None, append=True))


def test_a_backend_for_nothing_is_refused() -> None:
    with pytest.raises(SeccompError, match=r"^--seccomp-backend needs --seccomp-trace=PATH or --seccomp-profile=FI"):
        Options.of(config(trace=None, backend="notify"))


def test_a_profile_needs_no_trace() -> None:
    assert Options.of(config(trace=None, backend="notify"), judges=True) == Options(None, False, "notify")


def test_the_home_directory_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert Options.of(config(trace="~/out.ndjson")).path == "/home/somebody/out.ndjson"
    assert Options.of(config(trace="a~/~out")).path == "a~/~out"


@pytest.mark.parametrize("path", ["", "test_a.py", "tests/test_a.py::test_b", "conftest.py"])
def test_a_path_that_cannot_be_meant_is_refused(path: str) -> None:
    with pytest.raises(SeccompError, match=r"^--seccomp-trace "):
        Options.of(config(trace=path))


def test_an_unknown_backend_of_the_ini_file_is_refused() -> None:
    with pytest.raises(
        SeccompError, match=r"^ini option seccomp_backend: 'ptrace' is no backend: use one of auto, ebpf, no"
    ):
        Options.of(config(ini="ptrace"))


@pytest.mark.parametrize(
    ("arguments", "ini", "said"),
    [
        (["--seccomp-trace-append"], "", "pytest-seccomp: --seccomp-trace-append needs --seccomp-trace=PATH"),
        (["--seccomp-trace=out"], "seccomp_backend = ptrace", "ini option seccomp_backend: 'ptrace' is no backend"),
        (["--seccomp-trace=out", "--seccomp-backend=ptrace"], "", "argument --seccomp-backend: invalid choice"),
    ],
)
def test_pytest_says_it_as_an_error_of_usage(
    pytester: pytest.Pytester, arguments: list[str], ini: str, said: str
) -> None:
    pytester.makeini(f"[pytest]\n{ini}")
    pytester.makepyfile("def test(): pass")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert said in result.stderr.str()
    assert not (pytester.path / "out").exists()
