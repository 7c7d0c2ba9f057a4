"""prctl(PR_SET_PDEATHSIG): a child that does not outlive its parent. Source: PR_SET_PDEATHSIG(2const)."""

import os

from pytest_seccomp.linux import raw
from pytest_seccomp.linux.architecture import native

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def end_with(parent: int) -> None:
    """Have the kernel kill this process when `parent`, the thread that forked it, ends. Raises OSError."""
    raw.syscall("prctl", native().prctl, _PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it has ended before
        os._exit(1)
