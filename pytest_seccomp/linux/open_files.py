"""The limit of open files, RLIMIT_NOFILE: getrlimit(2)."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from resource import RLIMIT_NOFILE, getrlimit, setrlimit  # as they are before a test replaces them


@contextmanager
def many_open_files() -> Iterator[None]:
    """In the block this process may have as many open files as its hard limit lets it. Anybody may raise the other one
    to it; where it cannot be done, it stays as it is."""
    soft, hard = getrlimit(RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        setrlimit(RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        with suppress(OSError, ValueError):
            setrlimit(RLIMIT_NOFILE, (soft, hard))
