"""What shells complete, asked of the shells themselves."""

import os
import re
import select
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from commands import Command
from running import DEADLINE

from pytest_seccomp.cli import main
from pytest_seccomp.formats import hooks


def script(capsys: pytest.CaptureFixture[str], shell: str) -> str:
    """What the command prints for a shell."""
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def options(text: str) -> set[str]:
    """The long options in the help of a command."""
    return set(re.findall(r"^  (?:-\w(?: \w+)?, )?(--[\w-]+)", text, re.MULTILINE))


def commands_and_options(command: Command) -> dict[str, set[str]]:
    """What there is, by the help of each command."""
    names = command("--help").out.partition("{")[2].partition("}")[0].split(",")
    return {name: options(command(name, "--help").out) for name in names}


BASH = """
source ./script
while IFS=' ' read -r -a COMP_WORDS; do
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    if [[ ${COMP_WORDS[COMP_CWORD]} == _ ]]; then COMP_WORDS[COMP_CWORD]=; fi
    _pytest_seccomp 2>/dev/null
    printf '%s ' "${COMPREPLY[@]}"
    printf '\\n'
done
"""


def test_bash(command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    known = commands_and_options(command)
    (tmp_path / "script").write_text(script(capsys, "bash"))

    def complete(*lines: str) -> list[set[str]]:
        """What completes each of some command lines; a last word `_` stands for an empty one."""
        given = "".join(f"pytest-seccomp {line}\n" for line in lines)
        result = subprocess.run(
            ["bash", "-c", BASH], cwd=tmp_path, input=given, capture_output=True, text=True, check=True
        )
        assert result.stderr == ""
        return [set(line.split()) for line in result.stdout.splitlines()]

    assert complete("_") == [{*known, "-h", "--help", "--version"}]
    assert dict(zip(known, complete(*(f"{name} --" for name in known)), strict=True)) == known
    assert complete("show --sort _", "show --sort = n", "record --backend au", "completion _", "show _") == [
        {"count", "name"},
        {"name"},
        {"auto", "audit"},
        {"bash", "zsh", "fish"},
        set(),  # files, which bash adds
    ]
    assert complete("generate --base cru", "generate --format _", "generate --default errno:EP", "why socketc") == [
        {"crun", "crun-nnp"},
        set(hooks.all_formats()),
        {"errno:EPERM"},
        {"socketcall"},
    ]
    # As words are broken at @, and as they are where the user has taken it out of COMP_WORDBREAKS
    assert complete("groups @ internet", "groups @internet", "prune --keep @ internet", "prune --keep execvea") == [
        *({"@internet"}, {"@internet"}, {"@internet"}, {"execveat"})
    ]
    assert "@mount" in complete("groups @")[0]
    assert complete("why socket out") == [set()]
    (after,) = complete("record -o out.ndjson -- tru")
    assert "true" in after
    assert complete("record -- true --") == [set()]


@pytest.mark.needs("fish")
def test_fish(command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    known = commands_and_options(command)
    (tmp_path / "script").write_text(script(capsys, "fish"))
    (tmp_path / "trace.ndjson").touch()
    lines = ["", *(f"{name} --" for name in known)]
    lines += ["why socketc", "why socket tr", "generate --default errno:EP", "groups @inter", "prune --keep execvea"]
    lines += ["show --sort ", "show tr", "record -o x -- tru"]
    ask = "\n".join(f"echo =; complete -C 'pytest-seccomp {line}'" for line in lines)
    result = subprocess.run(
        ["fish", "--no-config", "-c", f"source script\n{ask}"],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr == ""
    answers = [
        {line.partition("\t")[0] for line in answer.splitlines() if line} for answer in result.stdout.split("=\n")[1:]
    ]
    assert answers[0] == set(known)
    assert dict(zip(known, answers[1:], strict=False)) == known
    assert answers[-8:-3] == [{"socketcall"}, {"trace.ndjson"}, {"errno:EPERM"}, {"@internet"}, {"execveat"}]
    assert answers[-3] == {"count", "name"}
    assert "trace.ndjson" in answers[-2]
    assert "true" in answers[-1]


@pytest.mark.needs("zsh")
def test_zsh(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """On a terminal, as zsh completes nowhere else."""
    (tmp_path / "script").write_text(script(capsys, "zsh"))
    (tmp_path / ".zshrc").write_text("PS1='> '; autoload -Uz compinit; compinit -D; source ./script; setopt no_beep\n")
    ours, theirs = os.openpty()
    environment = {"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": str(tmp_path), "ZDOTDIR": str(tmp_path)}
    zsh = ["setsid", "--ctty", "zsh", "-d", "-i"]
    with subprocess.Popen(zsh, cwd=tmp_path, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as shell:
        os.close(theirs)
        try:
            wait_for(ours, ["> "])
            for typed, answers in (
                ("pytest-seccomp comple\t", ["completion"]),
                ("f\t", ["fish"]),
                ("\x15pytest-seccomp show --sort \t", ["count", "name"]),
                ("\x15pytest-seccomp why socketc\t", ["socketcall"]),
                ("\x15pytest-seccomp generate --default errno:EP\t", ["errno:EPERM"]),
                ("\x15pytest-seccomp groups @inter\t", ["@internet"]),
                ("\x15pytest-seccomp record -\t", ["--no-wait", "--backend"]),
                ("\x15pytest-seccomp record -o x -- setpr\t", ["setpriv"]),
            ):
                os.write(ours, typed.encode())
                wait_for(ours, answers)
        finally:
            shell.kill()
            os.close(ours)


def wait_for(terminal: int, answers: Iterable[str]) -> None:
    """Read what a terminal shows until all of these have been there."""
    said = ""
    end = time.monotonic() + DEADLINE
    while not all(answer in said for answer in answers):
        assert select.select([terminal], [], [], max(end - time.monotonic(), 0))[0], f"no {answers} in {said!r}"
        said += os.read(terminal, 4096).decode(errors="replace")
