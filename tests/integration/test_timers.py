"""A suite full of timers has the outcomes that it has without tracing: with `notify` a call that one
interrupts before it is received is made again."""

import pytest
from traced import Suite

pytestmark = pytest.mark.needs("listener")

TICKING = """
    import os, select, signal, socket, subprocess, sys, threading, time
    import pytest

    NUMBERS = {signal.ITIMER_REAL: signal.SIGALRM, signal.ITIMER_PROF: signal.SIGPROF}

    @pytest.fixture(params=NUMBERS, ids=["real", "prof"])
    def ticks(request):
        seen = []
        before = signal.signal(NUMBERS[request.param], lambda *_: seen.append(1))
        signal.setitimer(request.param, 0.001, 0.001)
        yield seen
        signal.setitimer(request.param, 0)
        signal.signal(NUMBERS[request.param], before)

    def until(seen, count=100):
        while len(seen) < count:
            yield

    def test_calls_that_python_does_not_make_again(ticks):
        for _ in until(ticks):
            os.stat("."), os.getppid(), os.readlink("/proc/self"), os.access("/", os.R_OK)
            one, other = socket.socketpair()
            one.close(), other.close()

    def test_files(ticks, tmp_path):
        for _ in until(ticks):
            (tmp_path / "one").write_text("text")
            os.rename(tmp_path / "one", tmp_path / "other")
            assert (tmp_path / "other").read_text() == "text"
            os.unlink(tmp_path / "other")

    def test_programs(ticks):
        for _ in until(ticks):
            assert subprocess.check_output(["echo", "said"]) == b"said\\n"

    def test_threads(ticks):
        lock, made = threading.Lock(), []
        def work():
            for _ in until(ticks):
                with lock:
                    made.append(1)
        for _ in until(ticks, 50):
            threads = [threading.Thread(target=work) for _ in range(3)]
            for thread in threads:
                thread.start()
            for _ in until(ticks):
                os.getppid()
            for thread in threads:
                thread.join()

    def test_forks(ticks):
        for _ in until(ticks):
            child = os.fork()
            if not child:
                os._exit(3)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3

    def test_timers_that_set_themselves_again():
        seen = []
        def ring(*_):
            seen.append(1)
            signal.setitimer(signal.ITIMER_REAL, 0.0005)
        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.0005)
        for _ in until(seen):
            one, other = socket.socketpair()
            one.close(), other.close()
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    def test_nobody_traces_this_process_afterwards():
        with open("/proc/self/status") as status:
            assert "TracerPid:\\t0\\n" in status.read()
"""

WOKEN = """
    import fcntl, os, select, signal, socket, subprocess, threading, time
    import pytest

    class Woken(Exception):
        pass

    @pytest.fixture(autouse=True)
    def alarm():
        before = signal.getsignal(signal.SIGALRM)
        yield
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    def wakes(wait):
        woken = []
        def wake(*_):
            if not woken:
                woken.append(1)
                raise Woken
        signal.signal(signal.SIGALRM, wake)
        # Again, should it ring before the wait has begun
        with pytest.raises(Woken):
            signal.setitimer(signal.ITIMER_REAL, 0.2, 0.2)
            wait()
        signal.setitimer(signal.ITIMER_REAL, 0)

    def test_waiting_calls(tmp_path):
        reading, writing = os.pipe()
        os.mkfifo(tmp_path / "fifo")
        server = socket.create_server(("127.0.0.1", 0))
        lock = threading.Lock()
        lock.acquire()
        held = open(tmp_path / "held", "w"), open(tmp_path / "held", "w")
        fcntl.flock(held[0], fcntl.LOCK_EX)
        program = subprocess.Popen(["sleep", "1000"])
        for wait in (
            lambda: os.read(reading, 1),
            lambda: os.open(tmp_path / "fifo", os.O_RDONLY),
            lambda: server.accept(),
            lambda: lock.acquire(),
            lambda: fcntl.flock(held[1], fcntl.LOCK_EX),
            lambda: select.select([reading], [], []),
            lambda: time.sleep(1000),
            lambda: program.wait(),
            lambda: signal.pause(),
        ):
            wakes(wait)
        program.kill()
        program.wait()
        os.close(reading), os.close(writing), server.close(), held[0].close(), held[1].close()
"""

CHILDREN = '''
    import os, signal, subprocess, sys, textwrap

    TICKS = """
    import os, signal, sys
    seen, told = [], []
    signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    signal.signal(signal.SIGTERM, lambda *_: told.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    while len(seen) < 20:
        os.stat(".")
    os.write(1, b".")
    while len(seen) < int(sys.argv[1]) and not told:
        os.stat(".")
    signal.setitimer(signal.ITIMER_REAL, 0)
    sys.exit(5)
    """

    def start(ticks):
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(TICKS), str(ticks)], stdout=subprocess.PIPE)
        assert process.stdout.read(1) == b"."
        return process

    def test_ends_with_its_status():
        with start(100) as process:
            process.stdout.read()
            assert process.wait() == 5

    def test_stops_and_goes_on():
        with start(10**9) as process:
            process.send_signal(signal.SIGSTOP)
            assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
            process.send_signal(signal.SIGCONT)
            assert os.WIFCONTINUED(os.waitpid(process.pid, os.WCONTINUED)[1])
            process.terminate()
            process.stdout.read()
            assert process.wait() == 5

    def test_is_killed():
        with start(10**9) as process:
            process.kill()
            assert process.wait() == -signal.SIGKILL

    def test_dies_of_its_alarm():
        program = "import signal; signal.setitimer(signal.ITIMER_REAL, 0.01); signal.pause()"
        assert subprocess.run([sys.executable, "-c", program]).returncode == -signal.SIGALRM

    def test_becomes_another_program():
        ignoring = "import os, signal, sys; signal.signal(signal.SIGALRM, signal.SIG_IGN); " \\
            "signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001); os.execvp('sh', ['sh', '-c', " \\
            "'for n in 1 2 3 4 5 6 7 8 9; do /bin/true || exit 9; done; exit 4'])"
        assert subprocess.run([sys.executable, "-c", ignoring]).returncode == 4
'''


@pytest.mark.parametrize("tests", [TICKING, WOKEN, CHILDREN], ids=["ticking", "woken", "children"])
def test_timers_change_no_outcome(suite: Suite, tests: str) -> None:
    suite.write("test_timers.py", tests)
    suite.run().expect(0)
    trace = suite.trace()
    assert trace.complete
    assert set(trace.outcomes.values()) == {"passed"}


def test_calls_are_counted_once(suite: Suite) -> None:
    suite.write(
        "test_ticking.py",
        """
        import os, signal

        def test_loop():
            seen = []
            before = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            made = 0
            while len(seen) < 100:
                os.getppid()
                made += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            print("made", made)
        """,
    )
    finished = suite.run("--seccomp-trace=out.ndjson", "-s").expect(0)
    made = int(finished.stdout.partition("made ")[2].split()[0])
    calls = finished.trace().test("test_loop").phase("call")
    assert calls["getppid"] == made
    assert calls["setitimer"] == 2
