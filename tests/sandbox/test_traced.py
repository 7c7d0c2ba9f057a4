"""Sandboxes of a process that is itself traced: the recorder starts their host, and nothing of ours is in the trace."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from child import output
from running import until

from pytest_seccomp.linux import syscalls

START = """
    import json, os, sys, threading
    from pytest_seccomp.recorder import client, labels, protocol
    from pytest_seccomp.recorder.backends import notify
    from pytest_seccomp.sandbox.popen import SandboxedPopen
    from pytest_seccomp.sandbox.running import run
    from pytest_seccomp.sandbox.sandboxes import Sandboxes

    program, *rest = json.loads(sys.argv[2])
    settings = protocol.Settings(sys.argv[3], notify.new_cookie(), os.getpid(), sys.argv[1], "null", None)
    connection = client.start(settings)
    connection.attach()
    sandboxes = Sandboxes(connection.spawn, settings.cookie)
    base = labels.FIRST_TEST
    def begin():
        connection.send("begin", base, '"t.py::a"', 0)
        connection.mark(base + labels.CALL, ring=True)
    def end():
        connection.mark(labels.HARNESS)
        connection.send("end", base, '"passed"')
        assert connection.finish() == ("finished", True, 0, []), connection.end
        assert connection.alive
"""


def traced(folder: Path, program: str, *command: str, backend: str = "notify") -> dict[str, int]:
    """What a traced program makes, by name, between begin() and end(); it has `command` as argv."""
    spool = folder / "spool"
    text = START + program + "\n    print('done')"
    assert output(text, spool, json.dumps(command), backend) == "done\n"
    until("the end of the recorder", lambda: '"kind":"end"' in spool.read_text())
    lines: list[dict[str, Any]] = [json.loads(line) for line in spool.read_text().splitlines()]
    (test,) = [line for line in lines if line["kind"] == "test"]
    return {str(syscalls.name_of(arch, number)): phases["call"] for arch, number, phases in test["syscalls"]}


@pytest.mark.needs("listener")
def test_a_traced_process_starts_programs_that_are_not_in_its_trace(tmp_path: Path) -> None:
    program = """
    def once():
        process = SandboxedPopen([program, *rest], sandboxes=sandboxes)
        assert process.wait() == 0
        assert process.complete
        assert process.syscalls["execve"] == 1
    once()  # tables are read, memory is had
    begin()
    once()
    end()
    """
    found = traced(tmp_path, program, "/bin/true")
    assert {name: count for name, count in found.items() if name not in ("brk", "mmap", "munmap")} == {"close": 2}


@pytest.mark.needs("listener")
def test_the_host_is_started_with_the_first_sandbox(tmp_path: Path) -> None:
    program = """
    begin()
    result = run([program, *rest], sandboxes=sandboxes, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "hello\\n", ""), result
    assert result.complete
    assert result.syscalls["execve"] == 1
    end()
    """
    found = traced(tmp_path, program, "/bin/echo", "hello")
    assert not found.keys() & {"execve", "clone", "vfork", "clone3", "fork", "socketpair", "wait4"}, found


@pytest.mark.needs("listener")
def test_its_threads_start_programs_at_once(tmp_path: Path) -> None:
    program = """
    begin()
    results = []
    def start(number):
        results.append(run([program, *rest, str(number)], sandboxes=sandboxes, capture_output=True, text=True))
    threads = [threading.Thread(target=start, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.stdout for result in results) == [f"{number}\\n" for number in range(6)]
    assert all(result.complete for result in results)
    end()
    """
    found = traced(tmp_path, program, "/bin/echo")
    assert not found.keys() & {"execve", "vfork", "wait4"}, found


@pytest.mark.needs("bpf")
def test_under_ebpf_they_are_in_no_trace_of_it_either(tmp_path: Path) -> None:
    program = """
    begin()
    result = run([program, *rest], sandboxes=sandboxes, stdout=-3)
    assert result.returncode == 0
    assert result.syscalls["execve"] == 1
    end()
    """
    found = traced(tmp_path, program, sys.executable, "-c", "0", backend="ebpf")
    assert "execve" not in found, found
