"""subprocess.run for a program in a sandbox."""

import subprocess
from collections.abc import Callable
from typing import Any

from pytest_seccomp.sandbox.popen import SandboxedPopen
from pytest_seccomp.sandbox.told import Told
from pytest_seccomp.trace.called import Calls
from pytest_seccomp.trace.denials import Denial

_MOST_NOTES = 10


class Completed(subprocess.CompletedProcess[Any]):
    """A program that has run in a sandbox. What it has left running may do more, and is not in here."""

    def __init__(self, args: Any, returncode: int, stdout: Any, stderr: Any, told: Told) -> None:
        super().__init__(args, returncode, stdout, stderr)
        self.told = told
        """What the sandbox had done when the program ended."""

    @property
    def syscalls(self) -> Calls:
        """The calls that were made, from the program's execve on. SandboxError where a policy was given and nothing is
        recorded."""
        return self.told.syscalls

    @property
    def denied(self) -> tuple[Denial, ...]:
        """What was denied."""
        return self.told.denied

    @property
    def logged(self) -> tuple[Denial, ...]:
        """What the policy's action `log` has let pass."""
        return self.told.logged

    @property
    def complete(self) -> bool:
        """Whether it is certain that nothing of that is missing."""
        return self.told.complete


def run(
    *arguments: Any,
    input: Any = None,
    capture_output: bool = False,
    timeout: float | None = None,
    check: bool = False,
    started: Callable[[SandboxedPopen], None] | None = None,
    **others: Any,
) -> Completed:
    """Run a program in a sandbox to its end; the arguments are those of subprocess.run and of SandboxedPopen. `started`
    is called when it runs.

    Raises what subprocess.run raises. What has not ended within `timeout` seconds is ended, with all that it has
    started. Errors that tell of the program's end have a note for each denial.
    """
    __tracebackhide__ = True  # in pytest's reports the line of the test is of interest
    if input is not None:
        if others.get("stdin") is not None:
            raise ValueError("stdin and input arguments may not both be used.")
        others["stdin"] = subprocess.PIPE
    if capture_output:
        if others.get("stdout") is not None or others.get("stderr") is not None:
            raise ValueError("stdout and stderr arguments may not be used with capture_output.")
        others["stdout"] = others["stderr"] = subprocess.PIPE
    with SandboxedPopen(*arguments, **others) as process:
        try:
            if started is not None:
                started(process)
            stdout, stderr = process.communicate(input, timeout=timeout)
        except BaseException as error:
            process.end()
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                _add_notes(error, process.told)
            raise
        returncode = process.poll()
        assert returncode is not None
        told = process.sandbox.at_end()
    if check and returncode:
        failed = subprocess.CalledProcessError(returncode, process.args, stdout, stderr)
        _add_notes(failed, told)
        raise failed
    return Completed(process.args, returncode, stdout, stderr, told)


def _add_notes(error: BaseException, told: Told) -> None:
    for denial in told.denied[:_MOST_NOTES]:
        answer = f"errno:{denial.errno}" if denial.errno else denial.action
        times = f", {denial.count} times" if denial.count > 1 else ""
        who = f"{denial.comm} (process {denial.pid})"
        error.add_note(f"denied in the sandbox: {denial.call} ({answer}) to {who}{times}")
