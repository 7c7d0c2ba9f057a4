"""A trace without its last lines is refused by every command that reads one, and nothing is written."""

from pathlib import Path

import profiles
import pytest
from commands import Command, Trace


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "{trace}"),
        ("show", "{trace}", "--by-test"),
        ("show", "{trace}", "--html={output}"),
        ("why", "read", "{trace}"),
        ("merge", "{other}", "{trace}", "-o", "{output}"),
        ("generate", "{trace}", "--format=oci", "-o", "{output}"),
        ("check", "{trace}", "{profile}"),
        ("check", "{other}", "{trace}"),
        ("diff", "{other}", "{trace}"),
        ("diff", "{trace}", "{other}"),
        ("prune", "{profile}", "{trace}"),
    ],
)
@pytest.mark.parametrize("alone", [True, False])
def test_it_is_refused(command: Command, trace: Trace, tmp_path: Path, arguments: tuple[str, ...], alone: bool) -> None:
    """The last line is that of the harness, which PATH knows nothing of."""
    path, other = trace(), trace("other")
    tests = tmp_path / "out.tests.ndjson"
    tests.write_bytes(b"".join(tests.read_bytes().splitlines(keepends=True)[:-1]))
    if alone:
        path.unlink()
    profile = profiles.write(tmp_path / "profile.json", {"names": ["read"], "action": profiles.ALLOW})
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    places = {"trace": tests, "other": other, "profile": profile, "output": tmp_path / "output"}
    result = command(*(argument.format(**places) for argument in arguments))
    assert (result.status, result.out) == (2, "")
    assert f"{tests} is not whole, it has 6 lines of 7: record it anew or leave it out" in result.err
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
