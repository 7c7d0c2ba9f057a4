"""nucleus: its profiles, and its reader of traces, which reads ours."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commands import write
from profiled import profile

from pytest_seccomp.cli import main
from pytest_seccomp.formats.nucleus import FORMAT


@dataclass
class TraceRecord:
    """A line of the original format: three members, and whatever else there is is passed over."""

    syscall: int
    name: str | None
    count: int


def original_reader(path: Path) -> Iterator[TraceRecord]:
    """Lines of JSON; each member has its type."""
    with path.open() as file:
        for line in file:
            members: dict[str, Any] = json.loads(line)
            record = TraceRecord(members["syscall"], members.get("name"), members["count"])
            assert type(record.syscall) is int
            assert record.name is None or type(record.name) is str
            assert type(record.count) is int
            assert record.count >= 0
            yield record


def test_a_reader_of_the_three_members_reads_a_trace(tmp_path: Path) -> None:
    """And makes the profile of it that we make, as far as it knows of architectures."""
    path = write(tmp_path)
    records = list(original_reader(path))
    assert records == [
        *(TraceRecord(1, "exit", 1), TraceRecord(0, "read", 23), TraceRecord(39, "getpid", 1000)),
    ]
    output = tmp_path / "profile.json"
    assert main(["generate", str(path), "--format=nucleus", "--bare", "-o", str(output)]) == 0
    (entry,) = json.loads(output.read_text())["syscalls"]
    assert entry["names"] == sorted({record.name for record in records if record.name} - {"exit"})


def test_a_profile() -> None:
    """Three members at the top, two in each entry and a comment: the names of the machine's own calls."""
    made = FORMAT.write(profile(("x86_64", 0), ("x86_64", 4000), ("i386", 102), default=FORMAT.action(None)))
    comment = " ".join(["Made by pytest-seccomp generate.", *made.left_out, "Called in out.ndjson."])
    assert made.left_out == (
        "Left out, for nucleus allows none but those of the machine itself: i386:socketcall.",
        "Left out, for the format takes names alone: x86_64:4000.",
    )
    assert json.loads(made.data) == {
        "defaultAction": "SCMP_ACT_KILL_PROCESS",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"comment": comment, "names": ["read"], "action": "SCMP_ACT_ALLOW"}],
    }
