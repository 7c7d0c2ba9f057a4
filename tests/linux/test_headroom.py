"""Room in the allocator: with it, what needs little memory makes no call, wherever an arena ends."""

import json
from pathlib import Path

import pytest
from child import output

PROGRAM = """
    import json, os, sys
    from pytest_seccomp.linux.headroom import make_room
    from pytest_seccomp.recorder import client, labels, protocol
    from pytest_seccomp.recorder.backends import notify

    settings = protocol.Settings("notify", notify.new_cookie(), os.getpid(), sys.argv[1], "null", None)
    connection = client.start(settings)
    connection.attach()
    connection.send("begin", labels.FIRST_TEST, '"a"', 0)
    connection.ring()
    kept, room = [None] * 8000, None
    for number in range(4000):
        kept[2 * number] = [bytes(400) for _ in range(8)]  # as pytest keeps what it knows of a test
        if sys.argv[2] == "True":
            room = make_room()
        connection.mark(labels.FIRST_TEST + labels.CALL)
        kept[2 * number + 1] = [bytes(300) for _ in range(8)]
        connection.mark(labels.HARNESS)
    connection.send("end", labels.FIRST_TEST, '"passed"')
    connection.finish()
"""


@pytest.mark.needs("listener")
@pytest.mark.parametrize("room", [True, False])
def test_small_needs_make_no_call_after_it(tmp_path: Path, room: bool) -> None:
    """And they do without it, in one of hundreds: so the first half of this can fail."""
    output(PROGRAM, tmp_path / "spool", str(room))
    first = json.loads((tmp_path / "spool").read_text().splitlines()[0])
    assert (first["syscalls"] == []) is room
