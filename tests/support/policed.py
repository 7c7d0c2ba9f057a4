"""Tests under policies: the kinds of runs, and a suite that is stopped in whatever it does."""

import re

import pytest
from traced import Finished

MODES = [
    pytest.param([], id="no trace"),
    pytest.param(["--seccomp-trace=out.ndjson", "--seccomp-backend=notify"], id="notify"),
    pytest.param(["--seccomp-trace=out.ndjson", "--seccomp-backend=ebpf"], id="ebpf", marks=pytest.mark.needs("bpf")),
    pytest.param(
        ["--seccomp-trace=out.ndjson", "--seccomp-backend=audit"], id="audit", marks=pytest.mark.needs("audit")
    ),
]

OFFLINE = """
    import asyncio, ctypes, os, shutil, socket, subprocess, sys, threading
    import pytest

    ASK = "import socket; socket.socket(socket.AF_INET)"

    def denied():
        with pytest.raises(PermissionError):
            socket.socket(socket.AF_INET6)

    @pytest.mark.seccomp_expect_denied("socket")
    @pytest.mark.seccomp(deny=["@internet"])
    class TestStopped:
        def test_python(self):
            denied()

        def test_ctypes(self):
            libc = ctypes.CDLL(None, use_errno=True)
            assert libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0) == -1
            assert ctypes.get_errno() == 1

        @pytest.mark.skipif(not shutil.which("cc"), reason="no compiler")
        def test_compiled(self, tmp_path):
            source = tmp_path / "ask.c"
            source.write_text(
                "#include <errno.h>\\n#include <sys/socket.h>\\n"
                "int ask(void) { return socket(AF_INET, SOCK_DGRAM, 0) < 0 ? errno : 0; }\\n"
            )
            subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "ask.so", source], check=True)
            assert ctypes.CDLL(str(tmp_path / "ask.so")).ask() == 1

        def test_thread(self):
            thread = threading.Thread(target=denied)
            thread.start()
            thread.join()

        def test_program(self):
            asked = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True)
            assert asked.returncode == 1 and "PermissionError" in asked.stderr

        def test_child(self):
            child = os.fork()
            if not child:
                try:
                    socket.socket()
                    os._exit(1)
                except PermissionError:
                    os._exit(7)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7

        def test_asyncio(self):
            async def connect():
                with pytest.raises(PermissionError):
                    await asyncio.open_connection("127.0.0.1", 9)
            asyncio.run(connect())

    @pytest.mark.seccomp(deny=["@internet"])
    def test_the_rest_works(tmp_path, monkeypatch):
        asyncio.run(asyncio.sleep(0))
        asyncio.run(asyncio.to_thread(tmp_path.joinpath("file").write_text, "text"))
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            monkeypatch.chdir(tmp_path)  # a longer path may be too long
            server.bind("socket")
            server.listen()
            client.connect("socket")
        one, two = socket.socketpair()
        one.close(), two.close()
        subprocess.run([sys.executable, "-c", "print()"], check=True)

    def test_the_next_one_is_free():
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            with socket.create_connection(server.getsockname()):
                pass
        subprocess.run([sys.executable, "-c", ASK], check=True)
"""


def passed(finished: Finished) -> list[str]:
    """The names of the tests that have passed, for runs with -rA."""
    return re.findall(r"^PASSED \S+::(\w+)", finished.stdout, re.MULTILINE)


def told(finished: Finished, heading: str) -> str:
    """The first line of what a run says below a heading: a test that has failed, or `ERROR at teardown of` one.

    Its last lines name it as well; but not, with an older pytest, what was wrong, where a report has that as a text.
    """
    found = re.findall(rf"^_+ {re.escape(heading)} _+\n(.*)$", finished.stdout, re.MULTILINE)
    assert len(found) == 1, finished.output
    return str(found[0])
