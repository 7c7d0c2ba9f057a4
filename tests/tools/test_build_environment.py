"""The environment that `make` makes: what is done once, what is done again, what is never touched."""

import json
from pathlib import Path

import build_environment
import pytest
from build_environment import Environment


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that were run, in place of running them: no test needs the network."""
    done: list[str] = []
    monkeypatch.setattr(
        build_environment, "run", lambda *command, quiet=False: done.append(" ".join(map(str, command)))
    )
    monkeypatch.setattr(Environment, "pip_wheel", lambda self: None)
    return done


def ensure(folder: Path, *groups: str, wheel: bool = False, lowest: bool = False) -> None:
    """Make the environment as one call of `make` does."""
    Environment(folder, lowest).ensure(list(groups), wheel)


def test_a_second_call_does_nothing(tmp_path: Path, steps: list[str]) -> None:
    ensure(tmp_path / "env", "demo", wheel=True)
    assert len(steps) == 5  # pip itself, requirements, the wheel's making, its installation, the check
    ensure(tmp_path / "env", "demo", wheel=True)
    assert len(steps) == 5


def test_a_half_made_environment_is_made_anew(tmp_path: Path, steps: list[str]) -> None:
    folder = tmp_path / "env"
    ensure(folder)
    (folder / "pytest-seccomp.json").unlink()
    (folder / "left-over").touch()
    ensure(folder)
    assert not (folder / "left-over").exists()
    assert (folder / "bin/python").exists()


def test_a_failed_step_is_done_again(tmp_path: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*command: object, quiet: bool = False) -> None:
        raise SystemExit(1)

    ensure(tmp_path / "env")
    with monkeypatch.context() as broken:
        broken.setattr(build_environment, "run", fail)
        with pytest.raises(SystemExit):
            ensure(tmp_path / "env", "demo")
    del steps[:]
    ensure(tmp_path / "env", "demo")
    assert len(steps) == 1


def test_changed_sources_are_built_again(tmp_path: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ensure(tmp_path / "env", "demo", wheel=True)
    del steps[:]
    monkeypatch.setattr(build_environment, "source_lines", lambda: iter(["changed"]))
    ensure(tmp_path / "env", "demo", wheel=True)
    assert [step.split(" -m pip ")[1].split()[2] for step in steps] == ["wheel", "install", "check"]


def test_a_moved_environment_is_made_anew(tmp_path: Path, steps: list[str]) -> None:
    """Its scripts begin with the path of the interpreter."""
    ensure(tmp_path / "before", "demo")
    (tmp_path / "before").rename(tmp_path / "after")
    ensure(tmp_path / "after")
    assert "demo" not in json.loads((tmp_path / "after/pytest-seccomp.json").read_text())


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path: Path, steps: list[str]) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(SystemExit, match="is no virtual environment"):
        ensure(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_the_lowest_versions_are_those_of_the_dependencies(tmp_path: Path, steps: list[str]) -> None:
    environment = Environment(tmp_path, lowest=True)
    for bound in environment.project["project"]["dependencies"]:
        assert bound.replace(">=", "==") in environment.requirements("test")
    assert set(environment.project["dependency-groups"]["test"]) < set(environment.requirements("test"))
