"""What the kernel refuses while something of ours starts, told to the user: most often by a sandbox around pytest."""

from __future__ import annotations

import errno

from pytest_seccomp.errors import BackendError

TYPE_CHECKING = False  # of typing, which costs 4 ms
if TYPE_CHECKING:
    from types import TracebackType

_REMEDY = "allow the system call that it makes in the profile of the container or sandbox around this process"


def explained(error: BackendError | OSError) -> BackendError:
    """What was refused, and what to do; a BackendError says that itself."""
    if isinstance(error, BackendError):
        return error
    name = call_of(error)
    call = f"{name}()" if name else "a system call"
    path = None if error.filename == name else error.filename
    if error.errno in (errno.EPERM, errno.ENOSYS) or (error.errno == errno.EACCES and path is None):
        return BackendError(f"{call} is refused here ({error.strerror})", _REMEDY)
    return BackendError(f"{path or call}: {error.strerror}", "run again, or ask pytest-seccomp doctor")


def call_of(error: OSError) -> str:
    """The function that has raised an error, as its caller names it: `fork`, `socketpair`. Python's errors do not say,
    so it is read in the line that called it; ours say it as their file name. Empty where neither does."""
    if isinstance(error.filename, str) and error.filename.isidentifier():
        return error.filename
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    try:
        return _called_in(trace)
    except ImportError:
        return ""  # who has changed the user may not get at the standard library any more


def _called_in(trace: TracebackType) -> str:
    """What was called where an error was raised, in the words of its line."""
    from itertools import islice
    from linecache import getline
    from re import match

    code = trace.tb_frame.f_code
    line, _, column, _ = next(islice(code.co_positions(), trace.tb_lasti // 2, None))
    text = getline(code.co_filename, line or 0, trace.tb_frame.f_globals).encode()[column or 0 :].decode()
    found = match(r"[\w.]*?(\w+)(?:\.__init__)?\(", text)
    return found[1] if found else ""
