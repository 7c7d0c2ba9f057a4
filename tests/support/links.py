"""Links, by which programs are attached to tracepoints."""

import os

from pytest_seccomp.linux import bpf


def is_attached(link: int) -> bool:
    """Whether there is such a link, given its id."""
    try:
        os.close(bpf.link_of_id(link))
    except FileNotFoundError:
        return False
    return True
