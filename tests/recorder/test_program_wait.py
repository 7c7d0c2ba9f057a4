"""Waiting for a program and for what it leaves behind."""

from child import output


def test_one_that_ends_while_others_are_looked_for_may_have_started_another() -> None:
    """So it is looked again, until nobody has ended meanwhile. In a process of its own: it waits for all children."""
    assert (
        output("""
        import os, signal
        from pytest_seccomp.recorder import program_wait

        def start():
            child = os.fork()
            if not child:
                signal.pause()
            return child

        class Program:
            def __init__(self):
                self.pid, self.daemon, self.asked = start(), start(), 0

            def others(self):
                self.asked += 1
                if self.asked == 1:
                    # It is not seen, and has ended
                    os.kill(self.daemon, signal.SIGKILL)
                    os.waitid(os.P_PID, self.daemon, os.WEXITED | os.WNOWAIT)
                return []

        program = Program()
        with program_wait.signals_held():
            os.kill(program.pid, signal.SIGKILL)
            status = program_wait.wait(program, print, for_others=True)
        print(os.waitstatus_to_exitcode(status), program.asked)
    """)
        == "-9 2\n"
    )
