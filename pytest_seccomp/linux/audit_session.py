"""The audit session id: the mark that the kernel puts on all audit records of a process and of what it starts.

A process gets a new one by setting its login user id, and hands it down. Sources: proc_pid_loginuid(5),
proc_pid_sessionid(5), kernel/auditsc.c (audit_set_loginuid), fs/proc/base.c (proc_loginuid_write).
"""

import errno
import os

from pytest_seccomp.linux.seccomp_record import NO_ID

# Of the thread, which in /proc/self would have to be the process's first one
_LOGINUID = "/proc/thread-self/loginuid"
_SESSIONID = "/proc/thread-self/sessionid"


def current() -> int | None:
    """The session of this thread, None where it has none. Raises OSError (ENOENT in a kernel without audit)."""
    with open(_SESSIONID, "rb") as file:
        session = int(file.read())
    return None if session == NO_ID else session


def begin() -> int:
    """Give this thread, and what it starts from now on, a session of its own; returns its id.

    Everyone may do so once, in a process that has none yet; where one has, it takes CAP_AUDIT_CONTROL in the initial
    user namespace. There is no way back to an earlier one. The login user id becomes this process's real one, which is
    what os.getlogin() may find from now on.

    Raises OSError: EPERM where it is not allowed or locked (auditctl --loginuid-immutable), EACCES or EROFS where the
    file cannot be written, ENOENT in a kernel without audit.
    """
    descriptor = os.open(_LOGINUID, os.O_WRONLY)
    try:
        try:
            os.write(descriptor, b"%d" % os.getuid())
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            os.write(descriptor, b"0")  # in a user namespace that has no number for this user
    finally:
        os.close(descriptor)
    session = current()
    if session is None:
        raise OSError(errno.ENODATA, "the kernel gave no session id", _SESSIONID)
    return session
