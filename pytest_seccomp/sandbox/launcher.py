"""The process that becomes the program: all that is between the fork and its execve.

In the order of subprocess's own: working directory, mask of files, signals, session and group, descriptors, users. The
filter is installed before the user changes, because with another user no_new_privs would have to be set. What follows
is let through until the execve has succeeded, which is seen by the end of the pipe.
"""

import errno
import fcntl
import gc
import os
import resource
import signal
from typing import NoReturn

from pytest_seccomp.errors import BackendError
from pytest_seccomp.linux import process, seccomp
from pytest_seccomp.linux.execution import execute
from pytest_seccomp.linux.marked import MarkedCalls
from pytest_seccomp.linux.parent import end_with
from pytest_seccomp.recorder import protocol
from pytest_seccomp.sandbox.inherited import Inherited
from pytest_seccomp.sandbox.request import Request

FAILED = 127

_NOT_SEEN = "what the program is to inherit from pytest cannot be looked up"
_REMEDY = "let this user look at its own processes in /proc"


def launch(request: Request, given: list[int], handover: int, news: int, cookie: int, code: bytes) -> NoReturn:
    """Become the program of a request in a process that was forked for it, or write into the pipe `news` why not.

    `given` are the descriptors for it, in the order of their targets. The filter `code` lets a sendmsg with the cookie
    pass, by which its listener goes over the socket `handover`.
    """
    parent = os.getppid()
    try:
        _launch(request, given, handover, news, cookie, code, parent)
    except _Failed as failure:
        _tell(news, failure.message)
    except OSError as error:
        _tell(news, ("failed", error.errno, ""))
    except BackendError as error:
        _tell(news, ("refused", error.reason, error.remedy))
    except BaseException as error:  # noqa: BLE001, without a word it would be taken for a program that has started
        _tell(news, ("broken", f"{type(error).__name__}: {error}"))
    finally:
        os._exit(FAILED)


class _Failed(Exception):
    def __init__(self, *message: object) -> None:
        super().__init__(*message)
        self.message: protocol.Message = message


def _tell(news: int, message: protocol.Message) -> None:
    os.write(news, protocol.encode(message))


def _launch(
    request: Request, given: list[int], handover: int, news: int, cookie: int, code: bytes, parent: int
) -> NoReturn:
    gc.disable()
    signal.set_wakeup_fd(-1)
    try:
        inherited = Inherited(request.process, request.thread)
        inherited.enter_folder()
    except OSError as error:
        raise BackendError(f"{_NOT_SEEN}: {error.filename}: {error.strerror}", _REMEDY) from error
    if request.cwd is not None:
        try:
            os.chdir(request.cwd)
        except OSError as error:
            raise _Failed("failed", error.errno, "cwd") from error
    inherited.set_umask()
    if request.umask >= 0:
        os.umask(request.umask)
    inherited.set_dispositions(request.restore_signals)
    if request.start_new_session:
        os.setsid()
    if request.process_group >= 0:
        os.setpgid(0, request.process_group)
    elif not request.start_new_session:
        os.setpgid(0, 0)
    inherited.set_scheduling()
    handover, news = _take_places(given, request.targets, handover, news)
    inherited.set_limits()
    _come_under(code, cookie, handover)
    os.close(handover)
    inherited.become_user()
    _become_user(request)
    end_with(parent)  # after that, because a change of the user takes it back
    inherited.set_mask()
    try:
        execute(request.paths, request.argv, request.environment)
    except OSError as error:
        raise _Failed("failed", error.errno, "exec") from error


def _take_places(given: list[int], targets: list[int], handover: int, news: int) -> tuple[int, int]:
    """Give the descriptors their numbers and close all others but the two last, which may get others."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    wanted = set(targets)
    high = max(wanted, default=2) + 1
    sources = dict(zip(targets, given, strict=True))
    for target, source in sources.items():
        if source in wanted and source != target:
            sources[target] = _moved(source, wanted, high)
    handover, news = (_moved(one, wanted, high) if one in wanted else one for one in (handover, news))
    for target, source in sources.items():
        if source != target:
            os.dup2(source, target)
        os.set_inheritable(target, True)
    process.close_descriptors({*wanted, handover, news})
    return handover, news


def _moved(descriptor: int, wanted: set[int], high: int) -> int:
    """A copy under a number that none is to have, which closes with execve."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, high)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EMFILE):
            raise
    # There is no room above: somewhere between them
    taken = []
    while (found := fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)) in wanted:
        taken.append(found)
    for number in taken:
        os.close(number)
    return found


def _come_under(code: bytes, cookie: int, handover: int) -> None:
    """Come under the filter and hand its listener over. Raises BackendError."""
    flags = seccomp.FLAG_NEW_LISTENER
    for flag in (seccomp.FLAG_SPEC_ALLOW, seccomp.FLAG_WAIT_KILLABLE_RECV):
        if seccomp.flag_is_known(flag):
            flags |= flag
    if not process.has_capability(process.CAP_SYS_ADMIN):
        seccomp.set_no_new_privs()
    try:
        MarkedCalls(cookie).install_and_hand_over(code, flags, handover)
    except OSError as error:
        raise _explained(error) from error


def _explained(error: OSError) -> BackendError:
    if error.errno == errno.EBUSY:
        return BackendError(
            "this process is under another seccomp listener already, and the kernel allows one",
            "run pytest outside of the traced pytest, the container runtime or the sandbox that has it",
        )
    if error.errno in (errno.EPERM, errno.EACCES):
        return BackendError(
            f"seccomp(2) is refused here ({error.strerror})",
            "allow the system call seccomp in the profile of the container or sandbox around pytest",
        )
    return BackendError(
        f"no seccomp user notification here ({error.strerror})",
        "needs Linux 5.5 or newer with CONFIG_SECCOMP_FILTER; gVisor and other kernels in user space do not have it",
    )


def _become_user(request: Request) -> None:
    if request.gids is not None:
        os.setgroups(request.gids)
    if request.gid >= 0:
        os.setregid(request.gid, request.gid)
    if request.uid >= 0:
        os.setreuid(request.uid, request.uid)
