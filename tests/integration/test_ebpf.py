"""The `ebpf` backend: what the kernel counts is what `notify` counts."""

import platform
import subprocess
import sys

import i386
import pytest
from mechanisms import missing
from traced import Phases, Suite, Trace, without_futex

pytestmark = [pytest.mark.needs("bpf"), pytest.mark.needs("listener")]

EBPF, NOTIFY, AUDIT = (f"--seccomp-backend={name}" for name in ("ebpf", "notify", "audit"))


def alike(suite: Suite, *arguments: str, workers: int = 0) -> Trace:
    """The trace under `ebpf`, of a suite for which `notify` and `audit` have the same counts for each test."""
    command = ["-n", str(workers), *arguments]
    ebpf = suite.trace(EBPF, *command, plugins=["xdist"])
    assert (ebpf.run["backend"], ebpf.complete, ebpf.run["lost"]) == ("ebpf", True, 0)
    for other in (NOTIFY, AUDIT) if missing("audit") is None else (NOTIFY,):
        assert counted(ebpf) == counted(suite.trace(other, *command, plugins=["xdist"])), other
    return ebpf


def counted(trace: Trace) -> dict[str, Phases]:
    """What each test made. A futex is made or not as threads come to meet each other."""
    return {line.nodeid: without_futex(line.own) for line in trace.tests}


def test_loops_and_processes(suite: Suite) -> None:
    suite.write(
        "test_all.py",
        """
        import os, subprocess, sys
        import pytest

        def loop(count):
            for _ in range(count):
                os.getppid()

        @pytest.mark.parametrize("number", range(40))
        def test_loop(number):
            loop(number)

        def test_files(tmp_path):
            for number in range(10):
                (tmp_path / str(number)).write_text("text")

        def test_fork():
            for _ in range(3):
                if not os.fork():
                    if not os.fork():
                        loop(100)
                        os._exit(0)
                    os.wait()
                    os._exit(0)
                os.wait()

        def test_subprocess():
            subprocess.run(["/bin/sh", "-c", "/bin/true; /bin/true"], check=True)

        def test_posix_spawn():
            assert os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)[1] == 0

        def test_after():
            loop(7)
        """,
    )
    trace = alike(suite)
    assert [trace.test(f"test_loop[{number}]").phases for number in range(3)] == [
        {},
        {"call": {"getppid": 1}},
        {"call": {"getppid": 2}},
    ]
    assert trace.test("test_fork").phase("call")["getppid"] == 300
    assert trace.test("test_after").own == {"call": {"getppid": 7}}


def test_exec_in_a_thread(suite: Suite) -> None:
    """The thread goes on as the process, whose first thread ends at one call or another."""
    suite.write(
        "test_exec.py",
        """
        import subprocess, sys

        def test_exec():
            program = "import os, threading; threading.Thread(target=os.execv, args=('/bin/true', ['true'])).start()"
            subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True)
        """,
    )
    calls = suite.trace(EBPF).test("test_exec").phase("call")
    assert (calls["execve"], calls["exit_group"]) == (2, 1)


def test_every_thread_counts(suite: Suite) -> None:
    suite.write(
        "test_threads.py",
        """
        import os, threading

        def loop():
            for _ in range(250):
                os.getppid()

        def test_threads():
            threads = [threading.Thread(target=loop) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        """,
    )
    # What else it calls is a matter of which thread waits for which
    assert suite.trace(EBPF).test("test_threads").phase("call")["getppid"] == 2000


def test_clone3_and_vfork(suite: Suite) -> None:
    suite.write(
        "test_clone.py",
        """
        import ctypes, os, subprocess
        import pytest

        libc = ctypes.PyDLL(None)
        CLONE3 = 435

        def test_clone3():
            arguments = (ctypes.c_ulong * 8)(0, 0, 0, 0, 17, 0, 0, 0)  # exit_signal: SIGCHLD
            pid = libc.syscall(ctypes.c_long(CLONE3), arguments, ctypes.c_ulong(64))
            if not pid:
                for _ in range(1000):
                    os.getppid()
                os._exit(0)
            os.waitpid(pid, 0)

        def test_vfork():
            for _ in range(20):
                subprocess.run(["/bin/true"], check=True)
        """,
    )
    trace = alike(suite)
    assert trace.test("test_clone3").phase("call")["clone3"] == 1
    assert trace.test("test_clone3").phase("call")["getppid"] == 1000
    assert trace.test("test_vfork").phase("call")["execve"] == 20


@pytest.mark.needs("i386")
def test_calls_of_32_bits(suite: Suite) -> None:
    program = i386.write_program(suite.folder / "program", 300 * [20] + 200 * [64] + [1000])
    suite.write(
        "test_i386.py",
        f"""
        import ctypes, mmap, os, subprocess

        CODE = b"\\x53\\xb8\\x14\\0\\0\\0\\xcd\\x80\\x5b\\xc3"  # push rbx; mov eax, 20; int 0x80; pop rbx; ret
        MEMORY = mmap.mmap(-1, len(CODE), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        MEMORY.write(CODE)
        CALL = ctypes.PYFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(MEMORY)))

        def test_int80():
            for _ in range(1000):
                assert CALL() == os.getpid()

        def test_program():
            subprocess.run([{str(program)!r}], check=True)
        """,
    )
    trace = alike(suite)
    assert trace.test("test_int80").phases == {"call": {"i386:getpid": 1000, "getpid": 1000}}
    made = trace.test("test_program").phase("call")
    assert {call: count for call, count in made.items() if call.startswith("i386:")} == {
        "i386:getpid": 300,
        "i386:getppid": 200,
        "i386:1000": 1,
        "i386:exit": 1,
    }


def test_numbers_that_nobody_knows(suite: Suite) -> None:
    suite.write(
        "test_unknown.py",
        """
        import ctypes
        import pytest

        libc = ctypes.PyDLL(None)

        @pytest.mark.parametrize("times", [2, 3])
        def test_unknown(times):
            for number in (507, 508, 511, 512, 5000, 0x3FFFFFFF, 0x40000000 + 110, -1, -5000):
                for _ in range(times):
                    libc.syscall(ctypes.c_long(number))
        """,
    )
    trace = alike(suite)
    calls = ["507", "508", "511", "512", "5000", str(0x3FFFFFFF), "-1", "-5000"]
    if platform.machine() == "x86_64":
        calls.append("x32:getppid")
    for times in (2, 3):
        made = trace.test(f"test_unknown[{times}]").phase("call")
        assert {call: made.get(call) for call in calls} == dict.fromkeys(calls, times)


def test_two_thousand_short_lived_processes(suite: Suite) -> None:
    suite.write(
        "test_processes.py",
        """
        import subprocess, sys

        PROGRAM = "import os\\nfor _ in range(2000):\\n if not os.fork(): os.getppid(); os._exit(0)\\n os.wait()"

        def test_processes():
            subprocess.run([sys.executable, "-I", "-S", "-c", PROGRAM], check=True)
        """,
    )
    made = alike(suite).test("test_processes").phase("call")
    assert (made["getppid"], made["exit_group"], made["wait4"]) == (2000, 2001, 2001)


def test_four_workers(suite: Suite) -> None:
    suite.write(
        "test_workers.py",
        """
        import os, subprocess
        import pytest

        @pytest.mark.parametrize("number", range(60))
        def test_worker(number):
            for _ in range(1000 + number):
                os.getppid()
            if not os.fork():
                for _ in range(number):
                    os.getuid()
                os._exit(0)
            os.wait()
        """,
    )
    trace = alike(suite, workers=4)
    assert {line.worker for line in trace.tests} <= {"gw0", "gw1", "gw2", "gw3"}
    for number in range(60):
        made = trace.test(f"test_worker[{number}]").phase("call")
        assert (made["getppid"], made.get("getuid", 0)) == (1000 + number, number)


@pytest.mark.needs("mount")
def test_in_a_pid_namespace(suite: Suite) -> None:
    suite.write(
        "test_namespace.py",
        """
        import os, subprocess

        def test_namespace():
            assert os.getpid() < 20
            child = os.fork()
            if not child:
                for _ in range(100):
                    os.getuid()
                os._exit(0)
            os.waitpid(child, 0)  # as process 1 it has other children as well: all orphans
        """,
    )
    trace = suite.trace(EBPF, before=["unshare", "--pid", "--fork", "--mount-proc"])
    assert trace.complete
    assert trace.test("test_namespace").phase("call")["getuid"] == 100


@pytest.mark.parametrize("outer", [EBPF, NOTIFY])
def test_a_traced_run_in_a_traced_run(suite: Suite, outer: str) -> None:
    """Whatever the outer one is traced with: `auto` finds a way for the inner one."""
    suite.write("inner/pytest.ini", "[pytest]\n")
    suite.write("inner/test_inner.py", "import os\ndef test_inner():\n    for _ in range(50): os.getuid()\n")
    suite.write(
        "test_outer.py",
        """
        import os, subprocess, sys

        def test_outer():
            options = ["-p", "seccomp", "--seccomp-trace=inner.ndjson"]
            subprocess.run([sys.executable, "-m", "pytest", *options, "inner"], check=True)
            for _ in range(7):
                os.getuid()
        """,
    )
    finished = suite.run("--seccomp-trace=out.ndjson", outer, "test_outer.py").expect(0)
    inner_trace, outer_trace = finished.trace("inner.ndjson"), finished.trace()
    assert (inner_trace.complete, inner_trace.run["backend"]) == (True, "ebpf")
    assert outer_trace.complete
    assert inner_trace.test("test_inner").own == {"call": {"getuid": 50}}
    assert outer_trace.test("test_outer").phase("call")["getuid"] >= 57


def test_sessions_in_one_process(suite: Suite) -> None:
    """One within the other is refused, for both have one cookie; one after the other is not, for no filter is left."""
    suite.write("inner/pytest.ini", "[pytest]\n")
    suite.write("inner/test_inner.py", "import os\ndef test_inner():\n    for _ in range(50): os.getuid()\n")
    suite.write(
        "test_outer.py",
        f"""
        import os, pytest

        def run(*options):
            return pytest.main(["-p", "seccomp", "-p", "no:cacheprovider", "{EBPF}", *options])

        def test_within(capsys):
            assert run("--seccomp-trace=inner.ndjson", "inner") == 4
            assert "this process is traced already" in capsys.readouterr().err

        def test_after():
            for _ in range(7):
                os.getuid()

        if __name__ == "__main__":
            assert run("--seccomp-trace=first.ndjson", "inner") == 0
            assert run("--seccomp-trace=second.ndjson", "inner") == 0
        """,
    )
    trace = suite.trace(EBPF, "test_outer.py")
    assert trace.complete
    assert trace.test("test_after").own == {"call": {"getuid": 7}}
    subprocess.run([sys.executable, "test_outer.py"], cwd=suite.folder, env=suite.environment(), check=True)
    for name in ("first", "second"):
        one = Trace.read(suite.folder / f"{name}.ndjson")
        assert one.complete
        assert one.test("test_inner").own == {"call": {"getuid": 50}}


def test_a_test_that_denies_itself_prctl(suite: Suite) -> None:
    """No call is needed to say whose calls come."""
    suite.write(
        "test_sandbox.py",
        """
        import os, pytest
        from pytest_seccomp.linux import seccomp
        from pytest_seccomp.linux.architecture import native

        def test_sandbox():
            deny, allow = seccomp.verdict(0x50001), seccomp.verdict(seccomp.RET_ALLOW)  # EPERM
            number = seccomp.load(seccomp.OFFSET_NUMBER) + seccomp.unless_equal(native().prctl, 1)
            seccomp.install(number + deny + allow)

        @pytest.mark.parametrize("number", range(20))
        def test_after(number):
            for _ in range(number):
                os.getppid()
        """,
    )
    trace = suite.trace(EBPF)
    assert trace.complete
    for number in range(20):
        assert trace.test(f"test_after[{number}]").own == ({"call": {"getppid": number}} if number else {})


def test_no_filter_is_installed(suite: Suite) -> None:
    suite.write(
        "test_status.py",
        """
        def test_status():
            status = open("/proc/self/status").read()
            assert "Seccomp:\\t0\\n" in status
            assert "NoNewPrivs:\\t0\\n" in status
        """,
    )
    assert suite.trace(EBPF).complete
