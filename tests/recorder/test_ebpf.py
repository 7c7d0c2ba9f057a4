"""The `ebpf` backend from pytest's side: exact counts of known calls, who waits for whom, and what ends with what."""

import json
import marshal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from child import output
from links import is_attached
from running import kill, until
from traces import has_ended

from pytest_seccomp.linux.architecture import native
from pytest_seccomp.recorder import ebpf_programs, labels

pytestmark = pytest.mark.needs("bpf")

IOCTL = native().ioctl
ARCH = native().audit_arch

START = """
    import json, os, sys, threading
    from pytest_seccomp.linux import raw, seccomp
    from pytest_seccomp.linux.architecture import native
    from pytest_seccomp.recorder import client, labels, protocol
    from pytest_seccomp.recorder.backends import notify

    call, number, nowhere = raw.function(), raw.Word(native().ioctl), raw.Word(2**32 - 1)

    def calls(count):
        for _ in range(count):
            call(number, nowhere)

    def start(spool, salvage=None):
        made = client.start(protocol.Settings("ebpf", notify.new_cookie(), os.getpid(), spool, "null", salvage))
        made.attach()
        return made

    connection = start(sys.argv[1])
    base = labels.FIRST_TEST
"""


def spooled(path: Path, program: str) -> list[dict[str, Any]]:
    """The lines of the spool after a traced program."""
    assert output(dedent(START) + dedent(program), path) == "done\n"
    until("the end of the recorder", lambda: has_ended(path))
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_exactly_the_calls_between_markers_count(tmp_path: Path) -> None:
    tests = 3 * ebpf_programs.RING + 1
    program = f"""
    connection.send("collected")
    for turn in range({tests}):
        connection.send("begin", base, json.dumps(str(turn)), 0)
        connection.mark(base + labels.SETUP, ring=True)
        calls(turn)
        connection.mark(base + labels.CALL)
        calls(1000 + turn)
        connection.mark(base + labels.TEARDOWN)
        calls(1)
        connection.mark(base + labels.SHARED)
        connection.mark(labels.HARNESS)
        connection.send("end", base, '"passed"')
        base = labels.next_base(base)
    assert connection.finish() == ("finished", True, 0, [])
    assert connection.alive
    print("done")
    """
    collect, *found, _harness, end = spooled(tmp_path / "spool", program)
    assert (collect["kind"], collect["syscalls"]) == ("collect", [])
    for number in range(tests):
        line = found[number]
        setup = {"setup": number} if number else {}
        assert (line["nodeid"], line["outcome"], line["backend"]) == (str(number), "passed", "ebpf")
        assert line["syscalls"] == [[ARCH, IOCTL, {**setup, "call": 1000 + number, "teardown": 1}]]
    assert len(found) == tests
    assert end == {"kind": "end", "complete": True, "lost": 0, "reasons": []}


def test_a_test_without_an_end_does_not_leave_its_calls_to_others(tmp_path: Path) -> None:
    program = f"""
    for turn in range({2 * ebpf_programs.RING}):
        connection.send("begin", base, json.dumps(str(turn)), 0)
        connection.mark(base + labels.CALL, ring=True)
        calls(10 + turn)
        connection.mark(labels.HARNESS)
        base = labels.next_base(base)
    connection.finish()
    print("done")
    """
    *found, _collect, _harness, end = spooled(tmp_path / "spool", program)
    assert [line["syscalls"] for line in found] == [
        [[ARCH, IOCTL, {"call": 10 + number}]] for number in range(2 * ebpf_programs.RING)
    ]
    assert end["complete"] is False


def test_children_that_speak_for_pytest(tmp_path: Path) -> None:
    # As pytest-forked has it: each test runs, and is rerun, in a child; the labels of the reruns come again
    program = """
    for turn in range(5):
        if not os.fork():
            while open(f"/proc/{os.getppid()}/stat").read().split()[2] != "S":
                pass  # until it waits: what it calls on its way there would count, too
            for rerun in range(12):
                connection.send("begin", base, json.dumps(str(turn)), rerun)
                connection.mark(base + labels.CALL, ring=True)
                calls(100 * turn + rerun + 1)
                connection.mark(labels.HARNESS)
                connection.send("end", base, '"passed"')
                base = labels.next_base(base)
            os._exit(0)
        os.wait()
        base = labels.next_base(base)
    connection.finish()
    print("done")
    """
    *found, _collect, _harness, end = spooled(tmp_path / "spool", program)
    assert [(line["nodeid"], line["rerun"], line["syscalls"]) for line in found] == [
        (str(number), rerun, [[ARCH, IOCTL, {"call": 100 * number + rerun + 1}]])
        for number in range(5)
        for rerun in range(12)
    ]
    assert end["complete"] is True


def test_a_process_that_ends_without_a_word(tmp_path: Path) -> None:
    program = """
    connection.send("begin", base, '"t.py::a"', 0)
    connection.mark(base + labels.CALL, ring=True)
    calls(5)
    os.write(1, b"done\\n")
    os._exit(0)
    """
    test, *_, end = spooled(tmp_path / "spool", program)
    assert (test["outcome"], test["complete"]) == (None, False)
    assert {number: phases for _, number, phases in test["syscalls"]}[IOCTL] == {"call": 5}
    assert end["reasons"][0] == "t.py::a did not finish"
    assert end["reasons"][1].endswith("ended before its session did")


def test_markers_need_no_call(tmp_path: Path) -> None:
    program = """
    connection.send("begin", base, '"t.py::a"', 0)
    connection.mark(base + labels.CALL, ring=True)
    seccomp.install(
        seccomp.load(seccomp.OFFSET_NUMBER)
        + seccomp.unless_equal(native().prctl, 1)
        + seccomp.verdict(0x50001)  # SECCOMP_RET_ERRNO: EPERM
        + seccomp.verdict(seccomp.RET_ALLOW)
    )
    calls(3)
    connection.mark(labels.HARNESS)
    calls(4)
    connection.send("end", base, '"passed"')
    print(connection.finish()[1:3] == (True, 0) and "done")
    """
    test, _collect, harness, _end = spooled(tmp_path / "spool", program)
    assert [ARCH, IOCTL, {"call": 3}] in test["syscalls"]
    assert [ARCH, IOCTL, {"harness": 4}] in harness["syscalls"]


def test_closed_descriptors(tmp_path: Path) -> None:
    program = """
    connection.send("begin", base, '"t.py::a"', 0)
    connection.mark(base + labels.CALL, ring=True)
    calls(3)
    os.closerange(3, 1024)
    connection.mark(labels.HARNESS)
    connection.send("end", base, '"passed"')
    assert not connection.alive
    os.write(1, b"done\\n")
    """
    test, *_, end = spooled(tmp_path / "spool", program)
    assert [IOCTL, {"call": 3}] in [entry[1:] for entry in test["syscalls"]]
    assert end["complete"] is False


def shared(folder: Path) -> tuple[list[int], list[int], int]:
    """What the processes of a run know of each other: ids of maps and of links, and the slot that is free."""
    found: tuple[list[int], list[int], int] = marshal.loads((folder / "ebpf").read_bytes())
    return found


def nothing_is_attached(folder: Path) -> None:
    """Wait until it is so."""
    _, links, _ = shared(folder)
    assert len(links) == 3
    until("the end of the programs", lambda: not any(map(is_attached, links)))


def test_the_recorder_is_not_taken_for_dead_when_it_has_done_its_work(tmp_path: Path) -> None:
    program = """
    connection.finish()
    connection.send("merged")
    import time; time.sleep(0.2)  # it could end now
    connection.ring()
    print(connection.alive and "done")
    """
    start = START.replace("start(sys.argv[1])", "start(sys.argv[1], ['/bin/false'])")
    assert output(dedent(start) + dedent(program), tmp_path / "spool") == "done\n"
    nothing_is_attached(tmp_path)


def test_nothing_is_attached_after_the_session(tmp_path: Path) -> None:
    spooled(tmp_path / "spool", 'connection.finish()\nconnection.send("merged")\nconnection.ring()\nprint("done")')
    nothing_is_attached(tmp_path)


@pytest.mark.parametrize("victim", ["pytest", "recorder"])
def test_nothing_is_attached_after_a_kill(tmp_path: Path, victim: str) -> None:
    program = """
    connection.mark(labels.COLLECTION)
    print(os.getpid(), flush=True)
    sys.stdin.read()
    calls(10)
    connection.send("collected")
    assert not connection.alive
    """
    command = [sys.executable, "-I", "-c", dedent(START) + dedent(program), str(tmp_path / "spool")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == f"{process.pid}\n"
        assert all(map(is_attached, shared(tmp_path)[1]))
        if victim == "pytest":
            process.kill()
        else:
            recorder = until("the recorder", lambda: recorder_of(tmp_path / "spool"))
            assert recorder is not None
            kill(recorder)
            process.stdin.close()
            assert process.wait() == 0
    nothing_is_attached(tmp_path)


def recorder_of(spool: Path) -> int | None:
    """The pid of the process that has the spool open."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if any(link.readlink() == spool for link in (entry / "fd").iterdir()):
                    return int(entry.name)
            except OSError:
                pass  # it has ended
    return None


def test_the_recorders_of_a_run_share_one_set_of_programs(tmp_path: Path) -> None:
    program = """
    import subprocess
    other = subprocess.Popen([sys.executable, "-I", "-c", sys.argv[2], sys.argv[1] + "2"], stdout=subprocess.PIPE)
    assert other.stdout.read() == b"done\\n"
    other.wait()
    connection.send("begin", base, '"t.py::a"', 0)
    connection.mark(base + labels.CALL, ring=True)
    calls(3)
    connection.mark(labels.HARNESS)
    connection.send("end", base, '"passed"')
    connection.finish()
    print("done")
    """
    inner = """
    connection.send("begin", base, '"t.py::b"', 0)
    connection.mark(base + labels.CALL, ring=True)
    calls(4)
    connection.mark(labels.HARNESS)
    connection.send("end", base, '"passed"')
    connection.finish()
    print("done")
    """
    path = tmp_path / "spool"
    assert output(dedent(START) + dedent(program), path, dedent(START) + dedent(inner)) == "done\n"
    _, _, free = shared(tmp_path)
    assert free == 3  # one for the check, one each
    for spool, count in ((path, 3), (tmp_path / "spool2", 4)):
        until("the end of the recorder", lambda spool=spool: has_ended(spool))  # type: ignore[misc]
        test = json.loads(spool.read_text().splitlines()[0])
        assert test["syscalls"] == [[ARCH, IOCTL, {"call": count}]]
    nothing_is_attached(tmp_path)


def test_labels_of_a_ring_have_banks_of_their_own() -> None:
    first = labels.FIRST_TEST
    ring = range(first, first + ebpf_programs.RING * len(labels.PHASES))
    banks = [ebpf_programs.bank_of(label) for label in (labels.HARNESS, labels.COLLECTION, *ring)]
    assert len(set(banks)) == len(banks)
    assert max(banks) < ebpf_programs.BANKS
    assert ebpf_programs.bank_of(ring.stop) == ebpf_programs.bank_of(first)
