"""What becomes of a traced process when its tracer is killed."""

import os
import signal
import subprocess
import sys

from pytest_seccomp.linux import ptrace


def test_a_signal_is_not_lost_with_the_tracer_that_was_told_of_it() -> None:
    program = "import signal; print(flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as traced:
        assert traced.stdout is not None
        traced.stdout.readline()
        tracer = os.fork()
        if not tracer:
            try:
                ptrace.seize(traced.pid, 0)
                os.kill(traced.pid, signal.SIGTERM)
                found = ptrace.wait_for_any()
                os._exit(0 if found is not None and found[1].signal == signal.SIGTERM else 1)
            finally:
                os._exit(2)
        try:
            assert os.waitstatus_to_exitcode(os.waitpid(tracer, 0)[1]) == 0
            assert traced.wait(timeout=60) == -signal.SIGTERM
        finally:
            traced.kill()
