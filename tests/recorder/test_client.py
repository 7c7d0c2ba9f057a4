"""pytest's side of the recorder, alone: exact counts of known calls, and an answer to whatever goes wrong."""

import json
import os
import select
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from child import output
from running import until
from traces import has_ended

from pytest_seccomp.errors import BackendError, RecorderError, UnusableError
from pytest_seccomp.linux.architecture import native
from pytest_seccomp.recorder import client, protocol, starting
from pytest_seccomp.recorder.client import Client
from pytest_seccomp.recorder.protocol import Settings

IOCTL = native().ioctl
ARCH = native().audit_arch

START = """
    import json, os, sys, threading
    from pytest_seccomp.errors import RecorderError
    from pytest_seccomp.linux import raw
    from pytest_seccomp.linux.architecture import native
    from pytest_seccomp.recorder import client, labels, protocol
    from pytest_seccomp.recorder.backends import notify

    call, number, nowhere = raw.function(), raw.Word(native().ioctl), raw.Word(2**32 - 1)

    def calls(count):
        for _ in range(count):
            call(number, nowhere)

    settings = protocol.Settings("notify", notify.new_cookie(), os.getpid(), sys.argv[1], "null", None)
    connection = client.start(settings)
    connection.attach()
    base = labels.FIRST_TEST
"""


def spooled(path: Path, program: str) -> list[dict[str, Any]]:
    """The lines of the spool after a traced program."""
    assert output(START + program, path) == "done\n"
    until("the end of the recorder", lambda: has_ended(path))
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.needs("listener")
def test_exactly_the_calls_between_markers_count(tmp_path: Path) -> None:
    program = """
    connection.send("collected")
    for rerun in range(2):
        connection.send("begin", base, '"t.py::a"', rerun)
        connection.mark(base + labels.SETUP, ring=True)
        calls(3)
        connection.mark(base + labels.CALL)
        calls(1000)
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
    *found, _harness, end = spooled(tmp_path / "spool", program)
    assert [(line["kind"], line.get("rerun")) for line in found] == [("collect", None), ("test", 0), ("test", 1)]
    assert [line["syscalls"] for line in found] == [
        [],
        *[[[ARCH, IOCTL, {"setup": 3, "call": 1000, "teardown": 1}]]] * 2,
    ]
    assert end == {"kind": "end", "complete": True, "lost": 0, "reasons": []}


@pytest.mark.needs("listener")
def test_calls_of_threads_and_children_count_too(tmp_path: Path) -> None:
    program = """
    connection.send("begin", base, '"t.py::a"', 0)
    connection.mark(base + labels.CALL, ring=True)
    calls(10)
    for _ in range(2):  # before there are threads: Python warns of a fork beside one, and reads files for that
        if not os.fork():
            calls(1000)
            os._exit(0)
        os.wait()
    threads = [threading.Thread(target=calls, args=(100,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    connection.mark(labels.HARNESS)
    connection.send("end", base, '"passed"')
    connection.finish()
    print("done")
    """
    counts = {number: phases for _, number, phases in spooled(tmp_path / "spool", program)[0]["syscalls"]}
    assert counts[IOCTL] == {"call": 10 + 2 * 1000 + 3 * 100}


@pytest.mark.needs("listener")
def test_more_messages_than_the_socket_holds(tmp_path: Path) -> None:
    program = """
    for _ in range(300):
        connection.send("begin", base, json.dumps("x" * 5000), 0)
        connection.send("end", base, '"passed"')
        base = labels.next_base(base)
    connection.finish()
    print("done")
    """
    found = spooled(tmp_path / "spool", program)
    assert [line["kind"] for line in found] == ["test"] * 300 + ["collect", "harness", "end"]
    assert {line["nodeid"] for line in found[:300]} == {"x" * 5000}


@pytest.mark.needs("listener")
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
    assert end["complete"] is False
    unfinished, reason = end["reasons"]
    assert unfinished == "t.py::a did not finish"
    assert reason.endswith("ended before its session did")


@pytest.mark.needs("listener")
def test_a_child_of_the_code_under_test_does_not_speak_for_its_parent(tmp_path: Path) -> None:
    program = """
    connection.mark(base + labels.CALL)
    if not os.fork():
        connection.send("collected")
        try:
            connection.finish()
        except RecorderError as error:
            os.write(1, b"done\\n")
        os._exit(0)
    os.wait()
    connection.mark(labels.HARNESS)
    connection.finish()
    """
    assert [line["kind"] for line in spooled(tmp_path / "spool", program)] == ["collect", "harness", "end"]


@pytest.mark.needs("listener")
def test_a_connection_that_was_closed_by_the_code_under_test(tmp_path: Path) -> None:
    program = """
    os.closerange(3, 4096)
    connection.send("collected")
    try:
        connection.finish()
    except RecorderError as error:
        assert str(error) == protocol.CLOSED
        os.write(1, b"done\\n")
    os._exit(0)
    """
    end = spooled(tmp_path / "spool", program)[-1]
    assert end == {"kind": "end", "complete": False, "lost": 0, "reasons": [protocol.CLOSED]}


@pytest.fixture
def pair() -> Iterator[tuple[Client, socket.socket]]:
    """A client without a filter, and the end of its connection at which the recorder would be."""
    ours, theirs = socket.socketpair()
    made = Client(ours, 1, "notify")
    with theirs:
        yield made, theirs
    made.close()


Pair = tuple[Client, socket.socket]


def started(said: bytes) -> Client:
    """The client of a recorder that says this and ends."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(said)
    return client.start(Settings("ebpf,notify", 1, 1, None, "null", None), lambda *_: ours)


def test_a_recorder_that_is_ready() -> None:
    failures = [("ebpf", "no right", "get it")]
    made = started(protocol.encode(("ready", "notify", 1234, ["a note"], failures)))
    made.close()
    assert (made.backend, made.notes) == ("notify", ["a note"])
    ((name, error),) = made.failures
    assert (name, str(error)) == ("ebpf", "no right: get it")


def test_a_recorder_that_says_why_it_cannot() -> None:
    failures = [("ebpf", "no right", "get it"), ("notify", "the reason", "the remedy")]
    with pytest.raises(UnusableError) as caught:
        started(protocol.encode(("unusable", failures)))
    assert (caught.value.reason, caught.value.remedy) == ("the reason", "the remedy")
    assert [(name, error.reason, error.remedy) for name, error in caught.value.failures] == failures


def test_a_recorder_that_cannot_write() -> None:
    with pytest.raises(BackendError, match=r"^the reason: the remedy$"):
        started(protocol.encode(("unavailable", "the reason", "the remedy")))


def test_a_recorder_that_ends_before_it_is_ready() -> None:
    with pytest.raises(RecorderError, match=r"^the recorder ended before it was ready: run again"):
        started(b"")


def test_a_recorder_that_says_nothing(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_READY_SECONDS", 0.01)
    with pytest.raises(RecorderError, match=r"^the recorder was not ready within 0\.01 s$"):
        starting.wait_until_ready(pair[1], protocol.Decoder(), "the recorder")


def test_an_answer_in_pieces(pair: Pair) -> None:
    data = protocol.encode(("finished", True, 0, []))
    made, theirs = pair
    theirs.sendall(data[:3])
    assert select.select([theirs], [], [], 0) == ([], [], [])
    theirs.sendall(data[3:])
    assert made.finish() == ("finished", True, 0, [])
    assert protocol.Decoder().feed(theirs.recv(100)) == [("finish",)]


def test_an_answer_to_an_earlier_request_is_passed_over(pair: Pair) -> None:
    """A signal handler has raised while pytest waited for it."""
    made, theirs = pair
    theirs.sendall(protocol.encode(("denials", 1, [], 0)) + protocol.encode(("denials", 2, [7], 3)))
    made._number = 1
    assert made.request("denials", 9) == ([7], 3)
    assert protocol.Decoder().feed(theirs.recv(100)) == [("denials", 2, 9)]


def test_a_recorder_that_is_told_nothing_still_has_requests(pair: Pair) -> None:
    made, theirs = pair
    made.pause(True)
    made.send("begin", 4, '"a"', 0)
    theirs.sendall(protocol.encode(("open", 1)))
    assert made.open_block(4) == 1
    made.pause(False)
    made.send("collected")
    assert protocol.Decoder().feed(theirs.recv(1000)) == [("open", 1, 4), ("collected",)]


def test_a_recorder_that_has_died(pair: Pair) -> None:
    made, theirs = pair
    theirs.close()
    with pytest.raises(RecorderError, match=r"^the recorder died: "):
        made.finish()
    assert not made.alive
    made.send("begin", 4, '"a"', 0)  # to nobody, and no error


def settings(spool: Path) -> Settings:
    return Settings("notify", 1, os.getpid(), str(spool), "null", None)


@pytest.mark.needs("listener")
def test_a_spool_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(BackendError) as caught:
        client.start(settings(tmp_path / "none/spool"))
    assert str(caught.value) == f"cannot write {tmp_path}/none/spool: No such file or directory: set TMPDIR"


@pytest.mark.parametrize("free", [0, 1, 2, 3])
def test_no_descriptor_left(tmp_path: Path, free: int) -> None:
    """Nor any that stays open."""
    program = """
        import os, resource, sys
        from pytest_seccomp.errors import RecorderError
        from pytest_seccomp.recorder import client, protocol
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        opened = []
        try:
            while True:
                opened.append(os.open("/", os.O_RDONLY))
        except OSError:
            pass
        for number in opened[len(opened) - int(sys.argv[2]):]:
            os.close(number)

        def left():
            found = []
            try:
                while True:
                    found.append(os.open("/", os.O_RDONLY))
            except OSError:
                for number in found:
                    os.close(number)
            return found

        before = left()
        try:
            client.start(protocol.Settings("notify", 1, os.getpid(), sys.argv[1], "null", None))
        except RecorderError as error:
            print(error)
        assert left() == before
    """
    assert output(program, tmp_path / "spool", free) == (
        "no free file descriptor for the socket of the recorder: raise the limit (ulimit -n)\n"
    )


class Killed:
    """Marker calls of a recorder that is killed before it has read what was sent."""

    def __init__(self, other_end: socket.socket) -> None:
        self._other_end = other_end

    def ask(self, _label: int) -> bool:
        self._other_end.close()
        return True

    mark = ring = ask


@pytest.mark.parametrize("backend", ["ebpf", "audit"])
def test_a_recorder_that_is_killed_with_a_question_in_its_socket(backend: str) -> None:
    """The kernel says ECONNRESET to whoever waits for the answer."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Client(ours, 4711, backend)
        connection._marks = Killed(theirs)
        with pytest.raises(RecorderError, match="the recorder died"):
            connection.request("outside", ())
        assert not connection.alive
