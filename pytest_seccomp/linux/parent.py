"""prctl(2), as far as it is about parents: a child that does not outlive its own, and who adopts orphans.

Sources: PR_SET_PDEATHSIG(2const), PR_SET_CHILD_SUBREAPER(2const).
"""

import os

from pytest_seccomp.linux import raw
from pytest_seccomp.linux.architecture import native

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_SIGKILL = 9


def end_with(parent: int) -> None:
    """Have the kernel kill this process when `parent`, the thread that forked it, ends. Raises OSError."""
    raw.syscall("prctl", native().prctl, _PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it has ended before
        os._exit(1)


def outlive_parent() -> None:
    """Take back `end_with`. Raises OSError."""
    raw.syscall("prctl", native().prctl, _PR_SET_PDEATHSIG, 0, 0, 0, 0)


def adopt_orphans() -> None:
    """Have the descendants of this process whose parents end become its children (PR_SET_CHILD_SUBREAPER(2const)).
    What is forked from it does not do so. Raises OSError."""
    raw.syscall("prctl", native().prctl, _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
