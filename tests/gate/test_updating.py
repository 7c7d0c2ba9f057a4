"""Files of what is allowed while they are rewritten: whole at any time, and by one after the other."""

import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import profiles
import pytest
import traces

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.gate.allowed import Allowed
from pytest_seccomp.gate.updating import Target
from pytest_seccomp.linux.syscalls import all_names, audit_arch_of, numbers_of
from pytest_seccomp.trace.records import Record

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86-64")


def record(name: str, arch: str = "x86_64") -> Record:
    """A call that tests made."""
    return Record(numbers_of(name, audit_arch_of(arch))[0], name, 1, arch, 1, 0)


NAMELESS = Record(4000, None, 2, "x86_64", 1, 0)


def test_a_profile_is_made_of_what_has_a_name(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    records = [record("write"), record("read"), record("socketcall", "i386"), NAMELESS]
    added = Target.check(path).update(records)
    assert [(one, reason.partition(",")[0]) for one, reason in added.refused] == [(NAMELESS, "it has no name")]
    assert json.loads(path.read_text()) == {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        "syscalls": [{"names": ["read", "socketcall", "write"], "action": "SCMP_ACT_ALLOW"}],
    }
    assert Allowed.read(path).outside(records) == [NAMELESS]

    def identity() -> tuple[int, ...]:
        found = path.stat()  # without the time of the last look, which another one may change
        return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_mode, found.st_nlink

    before = identity()
    assert not Target.check(path).update(records)
    assert identity() == before  # it was not even touched
    other, empty = tmp_path / "other.json", tmp_path / "empty.json"
    assert not Target.check(empty).update([])
    assert Allowed.read(empty).outside(records) == records
    Target.check(other).update(reversed(records))
    assert other.read_bytes() == path.read_bytes()


def test_an_architecture_is_added_where_it_stands_in_a_list(tmp_path: Path) -> None:
    path = profiles.write(tmp_path / "a.json", {"names": ["read"], "action": profiles.ALLOW})
    added = Target.check(path).update([record("read", "i386"), record("close", "i386")])
    assert added.texts == ['"SCMP_ARCH_X86"', '"close"']
    assert Allowed.read(path).outside([record("read", "i386"), record("close", "i386")]) == []
    mapped = {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []}
    path = profiles.write(tmp_path / "b.json", {"names": ["read"], "action": profiles.ALLOW}, archMap=[mapped])
    before = path.read_bytes()
    added = Target.check(path).update([record("read", "i386")])
    assert [reason for _, reason in added.refused] == ['the profile is not for i386: add that to its "archMap" by hand']
    assert path.read_bytes() == before


def test_a_trace_alone_has_its_records_sorted_in(tmp_path: Path) -> None:
    path = tmp_path / "trace.ndjson"
    path.write_text(record("write").format())
    added = Target.check(path).update([NAMELESS, record("read"), record("write")])
    assert added.records == [record("read"), NAMELESS]
    assert path.read_text() == "".join(one.format() for one in (record("read"), record("write"), NAMELESS))


def test_a_trace_is_made_also_of_no_call(tmp_path: Path) -> None:
    path = tmp_path / "trace.ndjson"
    assert not Target.check(path).update([])
    assert path.read_bytes() == b""
    allowed = Allowed.read(path)
    assert (allowed.outside([record("read")]), allowed.unused([record("read")])) == ([record("read")], [])
    assert Target.check(path).update([record("read")]).records == [record("read")]
    assert path.read_text() == record("read").format()


@pytest.mark.parametrize("records", [[], [record("read"), record("write")]])
def test_a_trace_that_was_removed_begins_anew_with_both_files(tmp_path: Path, records: list[Record]) -> None:
    """The tests that are left are those of another trace, with which the new file would not agree."""
    path, tests = tmp_path / "trace.ndjson", tmp_path / "trace.tests.ndjson"
    line = traces.final_line(traces.spooled_test("t.py::a", [[traces.X86_64, 39, {"call": 1}]]))
    tests.write_text(traces.run().format() + json.dumps(line) + "\n")
    assert Target.check(path).update(records).records == records
    assert Allowed.read(path).outside([*records, record("getpid")]) == [record("getpid")]
    assert Target.check(path).update([record("close")]).records == [record("close")]
    assert Allowed.read(path).outside([*records, record("close")]) == []
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [path.name, tests.name]


def test_a_file_that_is_not_the_tests_of_a_trace_is_not_replaced(tmp_path: Path) -> None:
    path, tests = tmp_path / "trace.ndjson", tmp_path / "trace.tests.ndjson"
    tests.write_text("mine\n")
    with pytest.raises(SeccompError, match=r"trace\.tests\.ndjson: there is a file that is no trace: name another"):
        Target.check(path)
    assert [entry.read_text() for entry in tmp_path.iterdir()] == ["mine\n"]


def test_an_empty_trace_whose_tests_say_that_it_is_incomplete_is_refused(tmp_path: Path) -> None:
    path, tests = tmp_path / "trace.ndjson", tmp_path / "trace.tests.ndjson"
    path.touch()
    tests.write_text(traces.run(complete=False, reasons=["suppressed"]).format())
    for attempt in (lambda: Allowed.read(path), lambda: Target.check(path).update([record("read")])):
        with pytest.raises(SeccompError, match=r"trace\.ndjson is incomplete \(suppressed\)"):
            attempt()
    assert path.read_bytes() == b""


@pytest.mark.parametrize("content", ["{", "[]", '{"defaultAction": "SCMP_ACT_NOTHING"}'])
def test_what_is_no_profile_is_left_as_it_is(tmp_path: Path, content: str) -> None:
    path = tmp_path / "profile.json"
    path.write_text(content)
    with pytest.raises(SeccompError, match=r"profile\.json"):
        Target.check(path).update([record("read")])
    assert path.read_text() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    for name, reason in ((tmp_path, "it is a directory"), (tmp_path / "no" / "such", "no such directory")):
        with pytest.raises(SeccompError, match=rf"^cannot write a profile to .*: .*{reason}"):
            Target.check(name)


UPDATE = """
    import sys
    from pathlib import Path
    from pytest_seccomp.gate.updating import Target
    from pytest_seccomp.trace.records import Record

    sys.stdin.readline()
    for number, name in enumerate(sys.argv[2:]):
        Target.check(Path(sys.argv[1])).update([Record(number, name, 1, "x86_64", 1, 0)])
"""


def started(path: Path, names: list[str]) -> "subprocess.Popen[str]":
    """A process that adds names one after the other, as soon as it reads a line."""
    command = [sys.executable, "-c", dedent(UPDATE), str(path), *names]
    return subprocess.Popen(command, stdin=subprocess.PIPE, text=True)


def test_of_several_at_once_nothing_is_lost_and_nothing_half_written(tmp_path: Path) -> None:
    """Also where one of them is killed in the middle of it."""
    path = profiles.write(tmp_path / "profile.json", {"names": ["read"], "action": profiles.ALLOW})
    names = sorted(all_names(audit_arch_of("x86_64")) - {"read"})[:64]
    updaters = [started(path, names[first : first + 16]) for first in (0, 16, 32)]
    victim = started(path, names[48:])
    for process in (*updaters, victim):
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    seen = 0
    while any(process.poll() is None for process in updaters):
        seen = max(seen, len(profiles.names(path)))  # JSON at any time
        if seen > 8 and victim.poll() is None:
            os.kill(victim.pid, signal.SIGKILL)
    assert [process.wait() for process in updaters] == [0, 0, 0]
    victim.kill()
    victim.wait()
    for process in (*updaters, victim):
        assert process.stdin is not None
        process.stdin.close()
    found = profiles.names(path)
    assert {*names[:48], "read"} <= {*found} <= {*names, "read"}
    assert found == sorted(found)
    Target.check(path).update([])
    Target.check(path).update([Record(9, "mmap2", 1, "i386", 1, 0)])  # whoever comes next tidies up
    assert [entry.name for entry in tmp_path.iterdir()] == ["profile.json"]
