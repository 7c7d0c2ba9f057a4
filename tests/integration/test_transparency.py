"""Tests cannot tell that they are traced: what a process finds out of itself is the same without tracing and with."""

import pytest
from traced import Suite
from twice import run_twice

pytestmark = pytest.mark.needs("listener")

WARNINGS_ARE_ERRORS = ("-W", "error", "-X", "dev")


def test_no_child_no_thread_no_signal(suite: Suite) -> None:
    suite.write(
        "test_children.py",
        """
        import os, pathlib, signal, threading
        import pytest

        CAUGHT = []
        signal.signal(signal.SIGCHLD, lambda *_: CAUGHT.append(1))

        @pytest.mark.parametrize("options", [0, os.WNOHANG])
        def test_no_child_to_wait_for(options):
            with pytest.raises(ChildProcessError):
                os.waitpid(-1, options)
            with pytest.raises(ChildProcessError):
                os.waitid(os.P_ALL, 0, os.WEXITED | options)

        def test_no_child_in_proc():
            tasks = list(pathlib.Path("/proc/self/task").iterdir())
            assert len(tasks) == 1
            assert (tasks[0] / "children").read_text() == ""

        def test_no_thread():
            assert threading.active_count() == 1
            assert threading.enumerate() == [threading.main_thread()]

        def test_a_child_of_its_own():
            pid = os.fork()
            if not pid:
                os._exit(3)
            assert os.waitpid(-1, 0) == (pid, 3 << 8)

        def test_one_sigchld_for_one_child():
            assert len(CAUGHT) == 1

        def test_orphans_go_where_they_always_go():
            reading, writing = os.pipe()
            pid = os.fork()
            if not pid:
                if not os.fork():
                    while os.getppid() == os.getpid():
                        pass
                    os.write(writing, b"1")
                os._exit(0)
            assert os.waitpid(-1, 0)[0] == pid
            assert os.read(reading, 1) == b"1"
            with pytest.raises(ChildProcessError):
                os.waitpid(-1, 0)
        """,
    )
    run_twice(suite, python=WARNINGS_ARE_ERRORS)


OBSERVE = """
    import faulthandler, gc, json, locale, logging, os, pathlib, re, resource, signal, socket, sys, threading
    import warnings

    def observe(request):
        status = dict(line.split(":\\t") for line in pathlib.Path("/proc/self/status").read_text().splitlines())
        free = os.open("/", os.O_RDONLY)
        os.close(free)
        return {
            "lowest free descriptor": free,
            "environment": {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
            "environment of pytest": sorted(name for name in os.environ if name.startswith("PYTEST_")),
            "environment in C": sorted(
                entry.partition("=")[0] for entry in pathlib.Path("/proc/self/environ").read_text().split("\\0")
            ),
            "path": sys.path,
            "cwd": os.getcwd(),
            "umask": status["Umask"],
            "signals": {name: value for name, value in status.items() if re.match("Sig[BCIP]|Shd", name)},
            "capabilities": {name: value for name, value in status.items() if name.startswith("Cap")},
            "handlers": [str(signal.getsignal(number)).partition(" at 0x")[0] for number in signal.valid_signals()],
            "timers": [signal.getitimer(number) for number in (0, 1, 2)],
            "wakeup": signal.set_wakeup_fd(-1),
            "limits": [
                resource.getrlimit(getattr(resource, name)) for name in sorted(dir(resource)) if "RLIMIT_" in name
            ],
            "session": os.getsid(0) == os.getsid(os.getppid()),
            "group": os.getpgid(0) == os.getpgid(os.getppid()),
            "parent": pathlib.Path(f"/proc/{os.getppid()}/comm").read_text(),
            "affinity": sorted(os.sched_getaffinity(0)),
            "nice": os.nice(0),
            "threads": [thread.name for thread in threading.enumerate()],
            "hooks": [str(hook).partition(" at 0x")[0] for hook in (
                sys.excepthook, sys.unraisablehook, threading.excepthook, sys.displayhook, sys.breakpointhook,
                sys.gettrace(), sys.getprofile(),
            )],
            "collector": [gc.isenabled(), gc.get_threshold(), gc.get_debug()],
            "flags": [list(sys.flags), sys.getswitchinterval(), sys.getrecursionlimit(), sys.dont_write_bytecode],
            "faulthandler": faulthandler.is_enabled(),
            "socket": socket.getdefaulttimeout(),
            "locale": locale.setlocale(locale.LC_ALL),
            "logging": [str(handler) for handler in logging.root.handlers if "pytest" not in repr(handler)],
            "warnings": [str(entry) for entry in warnings.filters],
            "arguments": sys.argv,
            "options": request.config.getoption("verbose"),
        }
"""


@pytest.mark.parametrize("workers", [0, 1], ids=["one process", "xdist"])
def test_the_state_of_the_process(suite: Suite, workers: int) -> None:
    suite.write("observe.py", OBSERVE)
    suite.write(
        "test_observe.py",
        """
        import json, pathlib
        from observe import observe

        def test_observe(request):
            pathlib.Path("state.json").write_text(json.dumps(observe(request)))
        """,
    )
    arguments = ["-n", str(workers)] if workers else []
    runs = run_twice(suite, *arguments, plugins=["xdist"], python=["-W", "error"])
    seen, plain = runs.seen["state"], runs.seen_plain["state"]
    for state, run in ((seen, runs.traced), (plain, runs.plain)):
        state["arguments"] = [argument for argument in state["arguments"] if not argument.startswith("--seccomp-")]
        assert state["environment"].pop("PYTEST_CURRENT_TEST", None) is None, run
    assert seen == plain


def test_modules_that_tracing_imports(suite: Suite) -> None:
    """Only what the plugin is made of: nothing that changes how a program behaves by being there."""
    suite.write(
        "test_modules.py",
        """
        import json, pathlib, sys

        def test_modules():
            pathlib.Path("modules.json").write_text(json.dumps(sorted(sys.modules)))
        """,
    )
    runs = run_twice(suite)
    new = {name.partition(".")[0] for name in set(runs.seen["modules"]) - set(runs.seen_plain["modules"])}
    ours = {"pytest_seccomp"}
    standard = {"_blake2", "_ctypes", "_hashlib", "_socket", "array", "ctypes", "hashlib", "hmac", "mmap", "resource"}
    standard |= {"secrets", "socket"}
    assert ours <= new <= ours | standard


def test_descriptors(suite: Suite) -> None:
    """One more, far above those that a program comes by."""
    suite.write(
        "test_descriptors.py",
        """
        import json, os, pathlib, subprocess, sys

        def descriptors():
            return sorted(int(name) for name in os.listdir("/proc/self/fd"))

        def test_descriptors():
            program = "import os, json; print(json.dumps(sorted(os.listdir('/proc/self/fd'))))"
            started = [sys.executable, "-I", "-S", "-c", program]
            in_child = subprocess.run(started, close_fds=False, capture_output=True, check=True).stdout
            opened = [os.open("/", os.O_RDONLY) for _ in range(200)]
            for number in opened:
                os.close(number)
            seen = {"all": descriptors(), "opened": opened, "in a child": json.loads(in_child)}
            pathlib.Path("descriptors.json").write_text(json.dumps(seen))
        """,
    )
    runs = run_twice(suite)
    seen, plain = runs.seen["descriptors"], runs.seen_plain["descriptors"]
    (extra,) = set(seen.pop("all")) - set(plain.pop("all"))
    assert 900 < extra < 1024
    assert seen == plain


def test_as_many_files_as_a_lower_limit_allows(suite: Suite) -> None:
    suite.write(
        "test_limit.py",
        """
        import json, os, pathlib, resource

        def test_limit():
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
            opened = []
            try:
                while True:
                    opened.append(os.open("/", os.O_RDONLY))
            except OSError as error:
                failure = error.strerror
            finally:
                for number in opened:
                    os.close(number)
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            pathlib.Path("limit.json").write_text(json.dumps([opened, failure]))

        def test_after():
            os.getppid()
        """,
    )
    runs = run_twice(suite)
    assert runs.seen == runs.seen_plain
    assert runs.trace.test("test_after").phases == {"call": {"getppid": 1}}


FORKS = """
    import multiprocessing, os, threading
    import pytest

    def double(number):
        return 2 * number

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_multiprocessing(method):
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(double, range(20)) == [2 * number for number in range(20)]
            pool.close()
            pool.join()

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_process_and_queue(method):
        context = multiprocessing.get_context(method)
        queue = context.SimpleQueue()
        process = context.Process(target=queue.put, args=(7,))
        process.start()
        assert queue.get() == 7
        process.join()
        assert process.exitcode == 0
        process.close()
        queue.close()

    def test_fork():
        for _ in range(5):
            pid = os.fork()
            if not pid:
                os._exit(0)
            assert os.waitpid(pid, 0) == (pid, 0)

    def test_forkpty():
        pid, descriptor = os.forkpty()
        if not pid:
            os.write(1, b"text")
            os._exit(0)
        assert os.read(descriptor, 10) == b"text"
        assert os.waitpid(pid, 0) == (pid, 0)
        os.close(descriptor)
"""


@pytest.mark.parametrize("workers", [0, 1], ids=["one process", "xdist"])
def test_forks_do_not_warn(suite: Suite, workers: int) -> None:
    """From Python 3.12 on os.fork warns in a process that has threads."""
    suite.write("pytest.ini", "[pytest]\nfilterwarnings = error\n")
    suite.write("test_fork.py", FORKS)
    runs = run_twice(suite, "-n", str(workers), plugins=["xdist"], python=["-W", "error"])
    assert runs.trace.complete


def test_nothing_is_left_for_the_interpreter_to_complain_about(suite: Suite) -> None:
    suite.write("pytest.ini", "[pytest]\nfilterwarnings = error\n")
    suite.write("test_one.py", "import gc\ndef test_one():\n    gc.collect()\ndef test_two():\n    gc.collect()\n")
    runs = run_twice(suite, "-s", python=WARNINGS_ARE_ERRORS)
    assert runs.traced.stderr == runs.plain.stderr == ""


def test_signals(suite: Suite) -> None:
    suite.write(
        "test_signals.py",
        """
        import os, select, signal, subprocess, sys, time
        import pytest

        NAMES = ["SIGUSR1", "SIGUSR2", "SIGINT", "SIGTERM", "SIGALRM", "SIGRTMIN", "SIGRTMAX"]

        @pytest.mark.parametrize("number", [getattr(signal, name) for name in NAMES], ids=NAMES)
        def test_handler(number):
            caught = []
            before = signal.signal(number, lambda *arguments: caught.append(arguments[0]))
            for _ in range(10):
                os.kill(os.getpid(), number)
            signal.signal(number, before)
            assert caught == 10 * [number]

        def test_masked():
            before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
            os.kill(os.getpid(), signal.SIGUSR1)
            assert signal.sigpending() == {signal.SIGUSR1}
            assert signal.sigwait([signal.SIGUSR1]) == signal.SIGUSR1
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

        def test_all_masked():
            # What is blocked stays blocked, in us and in a program that is started
            before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            program = "import signal; print(len(signal.pthread_sigmask(0, [])))"
            started = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
            assert int(started.stdout) == len(signal.pthread_sigmask(signal.SIG_SETMASK, before))

        class Woken(Exception):
            pass

        @pytest.mark.parametrize("wait", [lambda end: os.read(end, 1), lambda end: select.select([end], [], []),
            lambda end: time.sleep(100), lambda end: signal.pause()], ids=["read", "select", "sleep", "pause"])
        def test_alarm_wakes_a_waiting_call(wait):
            woken = []
            def wake(*_):
                if not woken:
                    woken.append(1)
                    raise Woken
            before = signal.signal(signal.SIGALRM, wake)
            reading, writing = os.pipe()
            with pytest.raises(Woken):
                # Again, should it ring before the wait has begun
                signal.setitimer(signal.ITIMER_REAL, 0.05, 0.2)
                wait(reading)
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.close(reading), os.close(writing)
            signal.signal(signal.SIGALRM, before)

        def test_keyboard_interrupt():
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)

        def test_timeout_of_a_program():
            with pytest.raises(subprocess.TimeoutExpired):
                subprocess.run(["sleep", "100"], timeout=0.1)

        def test_stop_and_continue():
            process = subprocess.Popen(["sleep", "100"])
            os.kill(process.pid, signal.SIGSTOP)
            assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
            os.kill(process.pid, signal.SIGCONT)
            assert os.WIFCONTINUED(os.waitpid(process.pid, os.WCONTINUED)[1])
            process.terminate()
            assert process.wait() == -signal.SIGTERM

        def test_a_child_that_crashes():
            program = "import faulthandler, os; faulthandler.enable(); os.abort()"
            result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
            assert result.returncode == -signal.SIGABRT
            assert "Fatal Python error: Aborted" in result.stderr
        """,
    )
    assert run_twice(suite, python=["-W", "error"]).trace.complete
