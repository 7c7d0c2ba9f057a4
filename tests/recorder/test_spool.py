"""The recorder's file: whole lines or none, and a lock that says that it is still written."""

import json
import os
import stat
from pathlib import Path

import pytest
from child import output

from pytest_seccomp.recorder.spool import Spool, wait_until_closed

FULL = """
    import json, resource, sys
    from pytest_seccomp.recorder.spool import Spool
    spool = Spool(sys.argv[1])
    spool.write("0123456789")
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    spool.write("abcdefghij")
    error = spool.error
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    spool.write("after")
    print(json.dumps([error, spool.error]))
"""


def test_lines_are_appended_whole(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path / "spool"))
    spool.write('{"a":1}')
    spool.write('{"b":2}')
    assert (tmp_path / "spool").read_bytes() == b'{"a":1}\n{"b":2}\n'
    assert spool.error is None
    spool.close()


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    Spool(str(tmp_path / "spool")).close()
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o600


def test_another_file_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("somebody's")
    with pytest.raises(FileExistsError):
        Spool(str(tmp_path / "spool"))
    assert (tmp_path / "spool").read_text() == "somebody's"


@pytest.mark.parametrize("limit", [11, 12, 21])
def test_a_line_that_does_not_fit_is_taken_back(tmp_path: Path, limit: int) -> None:
    """By a limit on the size of files, which cuts the line off after 0, 1 and 10 of its 11 bytes."""
    path = tmp_path / "spool"
    error, kept = json.loads(output(FULL, path, limit))
    assert path.read_bytes() == b"0123456789\nafter\n"
    assert error in (f"{path}: {os.strerror(27)}", f"{path}: {os.strerror(28)}")  # EFBIG, ENOSPC
    assert kept == error, "the first error is kept"


def test_a_spool_is_written_until_it_is_closed(tmp_path: Path) -> None:
    first, second = (str(tmp_path / name) for name in ("first", "second"))
    spools = [Spool(first), Spool(second)]
    assert wait_until_closed([first, second], 0) == [first, second]
    spools[0].close()
    assert wait_until_closed([first, second], 0) == [second]
    spools[1].close()
    assert wait_until_closed([first, second], 0) == []


def test_closing_gives_up_the_lock_for_a_child_that_has_inherited_it(tmp_path: Path) -> None:
    program = """
        import os, sys
        from pytest_seccomp.recorder.spool import Spool, wait_until_closed
        spool = Spool(sys.argv[1])
        read, write = os.pipe()
        if not os.fork():
            os.close(write)
            os.read(read, 1)
            os._exit(0)
        os.close(read)
        spool.close()
        print(wait_until_closed([sys.argv[1]], 0))
        os.close(write)
        os.wait()
    """
    assert output(program, tmp_path / "spool") == "[]\n"


def test_a_killed_recorder_writes_no_more(tmp_path: Path) -> None:
    path = str(tmp_path / "spool")
    program = """
        import os, signal, sys
        from pytest_seccomp.recorder.spool import Spool, wait_until_closed
        child = os.fork()
        if not child:
            Spool(sys.argv[1])
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
        print(wait_until_closed([sys.argv[1]], 0))
    """
    assert output(program, path) == "[]\n"
