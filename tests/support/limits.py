"""Limits of this process for a while, which what it starts inherits."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def limit(number: int, value: int) -> Iterator[None]:
    """Another soft limit, RLIMIT_*."""
    before = resource.getrlimit(number)
    resource.setrlimit(number, (value, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(number, before)
