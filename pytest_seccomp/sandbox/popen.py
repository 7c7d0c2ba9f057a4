"""subprocess.Popen for a program in a sandbox. All but starting it, waiting for it and signalling it is subprocess's
own code.
"""

import errno
import inspect
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any, NoReturn

from pytest_seccomp.errors import SandboxError
from pytest_seccomp.linux import execution
from pytest_seccomp.profile.policy import Policy
from pytest_seccomp.recorder import protocol
from pytest_seccomp.sandbox.request import Request
from pytest_seccomp.sandbox.sandbox import Sandbox
from pytest_seccomp.sandbox.sandboxes import Sandboxes
from pytest_seccomp.sandbox.told import Told
from pytest_seccomp.trace.called import Calls
from pytest_seccomp.trace.denials import Denial

if not any(one.__module__ == "subprocess" for one in getattr(subprocess.Popen, "__mro__", ())):
    raise SandboxError(
        f"subprocess.Popen is not Python's, but that of {subprocess.Popen.__module__}: let it be replaced later, "
        "or not at all, as by gevent's monkey.patch_all(subprocess=False)"
    )

_SIGNATURE = inspect.signature(subprocess.Popen._execute_child)  # type: ignore[attr-defined]
_STANDARD = (0, 1, 2)


class SandboxedPopen(subprocess.Popen[Any]):
    """A program in a sandbox, as subprocess.Popen has one.

    `sandboxes` starts it; `policy` decides its calls, None allows and records them all; `record` says whether they are
    recorded also with a policy, None leaves that to `sandboxes`; `about` is what who looks after the sandboxes keeps
    with this one. All other arguments are those of Popen, but `preexec_fn`, for there is no Python in the new process
    that could call it.

    What differs from subprocess: the program is no child of pytest (its parent is its supervisor), it is in a session
    without a terminal and, unless `process_group` or `start_new_session` say otherwise, in a process group of its own;
    nothing that it has started outlives pytest. Without CAP_SYS_ADMIN no_new_privs is set.

    Raises what Popen raises, and SeccompError where there can be no sandbox.
    """

    def __init__(
        self,
        args: Any,
        *positional: Any,
        sandboxes: Sandboxes,
        policy: Policy | None = None,
        record: bool | None = None,
        about: object = None,
        **others: Any,
    ) -> None:
        __tracebackhide__ = True  # in pytest's reports the line of the test is of interest
        self._sandboxes = sandboxes
        self._code, self._recorded = sandboxes.policy_filter(policy, record)
        self.sandbox: Sandbox
        self.policy = policy
        self._about = about
        super().__init__(args, *positional, **others)

    @property
    def told(self) -> Told:
        """All that its sandbox has done up to now."""
        return self.sandbox.told()

    @property
    def syscalls(self) -> Calls:
        """The calls that were made in the sandbox up to now, from the program's execve on. SandboxError where a policy
        was given and nothing is recorded."""
        return self.told.syscalls

    @property
    def denied(self) -> tuple[Denial, ...]:
        """What was denied up to now."""
        return self.told.denied

    @property
    def logged(self) -> tuple[Denial, ...]:
        """What the policy's action `log` has let pass up to now."""
        return self.told.logged

    @property
    def complete(self) -> bool:
        """Whether it is certain that nothing of that is missing."""
        return self.told.complete

    def end(self) -> None:
        """End the program and all that it has started, daemons as well, and wait until nobody is left."""
        self.sandbox.end()

    def send_signal(self, sig: int) -> None:
        """Send a signal to the program, unless it has ended."""
        self.poll()
        if self.returncode is None:
            self.sandbox.signal(sig)

    def _execute_child(self, *positional: Any, **named: Any) -> None:
        __tracebackhide__ = True
        given = _SIGNATURE.bind(self, *positional, **named).arguments
        if given["preexec_fn"] is not None:
            raise ValueError("preexec_fn is not supported in a sandbox: nothing runs before the program")
        args, executable = _command(given["args"], given["executable"], given["shell"])
        sys.audit("subprocess.Popen", executable, args, given["cwd"], given["env"])
        descriptors = _descriptors(given)
        request = self._request(given, args, executable, list(descriptors))
        argv = tuple(map(os.fsdecode, args))
        self.sandbox = self._sandboxes.new(recorded=self._recorded, about=self._about, argv=argv)
        try:
            failure = self.sandbox.start(request, list(descriptors.values()))
        except OSError as error:
            if error.errno != errno.EBADF or not (closed := _closed_standard(descriptors)):
                raise
            # Nothing was sent. To look whether they are open takes calls that would be in pytest's own trace each time
            for number in closed:
                del descriptors[number]
            request.targets = list(descriptors)
            failure = self.sandbox.start(request, list(descriptors.values()))
        self._close_pipe_fds(*(given[name] for name in _PIPES))  # type: ignore[attr-defined]
        if failure is not None:
            _raise(failure, executable, given["cwd"])
        self.pid = self.sandbox.pid
        self._child_created = True

    def _request(self, given: dict[str, Any], args: list[Any], executable: Any, targets: list[int]) -> Request:
        return Request(
            argv=_bytes(args),
            paths=_paths(executable, given["env"]),
            environment=_environment(given["env"]),
            cwd=None if given["cwd"] is None else _bytes([given["cwd"]])[0],
            targets=targets,
            program=self._code,
            record=self._recorded,
            process=self._sandboxes.process,
            thread=threading.current_thread().native_id or 0,
            umask=given["umask"],
            restore_signals=bool(given["restore_signals"]),
            start_new_session=bool(given["start_new_session"]),
            process_group=given["process_group"],
            gid=-1 if given["gid"] is None else given["gid"],
            gids=given["gids"],
            uid=-1 if given["uid"] is None else given["uid"],
        )

    def _internal_poll(self, _deadstate: int | None = None, **_others: Any) -> int | None:
        if self.returncode is None and self._waitpid_lock.acquire(blocking=False):  # type: ignore[attr-defined]
            try:
                status = self.sandbox.wait(block=False)
                if status is not None:
                    self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        status = self.sandbox.wait(block=not wait_flags & os.WNOHANG)
        return (0, 0) if status is None else (self.pid, status)


_PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")


def _command(args: Any, executable: Any, shell: bool) -> tuple[list[Any], Any]:
    """The program's arguments and the program, as subprocess takes them."""
    if isinstance(args, str | bytes):
        args = [args]
    elif isinstance(args, os.PathLike):
        if shell:
            raise TypeError("path-like args is not allowed when shell is true")
        args = [args]
    else:
        args = list(args)
    if shell:
        args = [executable or "/bin/sh", "-c", *args]
    return args, args[0] if executable is None else executable


def _bytes(texts: Sequence[Any]) -> list[bytes]:
    found = [os.fsencode(text) for text in texts]
    if any(b"\0" in text for text in found):
        raise ValueError("embedded null byte")
    return found


def _paths(executable: Any, environment: Any) -> list[bytes]:
    (program,) = _bytes([executable])
    if os.path.dirname(program):
        return [program]
    return [os.path.join(os.fsencode(folder), program) for folder in os.get_exec_path(environment)]


def _environment(environment: Any) -> list[bytes]:
    if environment is None:
        return execution.environment()
    found = []
    for name, value in environment.items():
        if b"=" in os.fsencode(name):
            raise ValueError("illegal environment variable name")
        found.append(os.fsencode(name) + b"=" + os.fsencode(value))
    return _bytes(found)


def _descriptors(given: dict[str, Any]) -> dict[int, int]:
    """What the program is to have under each number."""
    found = dict(zip(_STANDARD, (given["p2cread"], given["c2pwrite"], given["errwrite"]), strict=True))
    own = [int(number) for number in given["pass_fds"]]
    if not given["close_fds"]:
        own += _inheritable()
    own += [number for number in _STANDARD if found[number] == -1]
    found = {number: descriptor for number, descriptor in found.items() if descriptor != -1}
    for number in own:
        found.setdefault(number, number)
    return found


def _closed_standard(descriptors: dict[int, int]) -> list[int]:
    """Those of the standard ones that the program is to have as pytest has them, and pytest has not."""
    own = [number for number in _STANDARD if descriptors.get(number) == number]
    return [number for number in own if not os.path.exists(f"/proc/self/fd/{number}")]


def _inheritable() -> list[int]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.get_inheritable(int(name)):
                found.append(int(name))
        except OSError:
            pass  # the listing's own
    return found


def _raise(failure: protocol.Message, executable: Any, cwd: Any) -> NoReturn:
    __tracebackhide__ = True
    _, code, where = failure
    assert isinstance(code, int)
    named = {"exec": executable, "cwd": cwd}.get(str(where))
    raise OSError(code, os.strerror(code)) if named is None else OSError(code, os.strerror(code), named)
