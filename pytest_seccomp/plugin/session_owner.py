"""What owning a result file takes, whichever it is: it is written once, by one process, and nothing is left behind."""

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from os import getpid  # as they are before a test replaces them
from os import umask as set_umask
from pathlib import Path

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux.open_files import many_open_files
from pytest_seccomp.linux.process import status_field
from pytest_seccomp.recorder.spools import SpoolDirectory
from pytest_seccomp.trace.reading import os_text, remedy


class SessionOwner:
    """Gathers what was recorded in `directory`, and writes it when the session ends.

    `merged` tells who would write it in our place, if this process were killed, that there is nothing left to do.
    """

    def __init__(self, config: pytest.Config, directory: SpoolDirectory) -> None:
        self.directory = directory
        self.notes: list[str] = []
        """What the user should know of how it is recorded."""
        self.merged: Callable[[], None] = lambda: None
        self._config = config
        self._begun = False
        self._announced = False
        """Whether a test was to be run."""
        self._told = False
        """Whether the terminal has shown what came of it."""
        self._process = getpid()
        self._finding = (list(sys.path), list(sys.meta_path))
        try:
            umask = status_field("Umask")  # Linux 4.7
        except SeccompError:
            directory.remove()
            raise
        self._umask = None if umask is None else int(umask, 8)

    def clean_up(self) -> None:
        """Leave nothing behind, also where the session did not begin."""
        if not self._is_the_owner():
            return
        if not self._told:
            self._tell_on_stderr()
        if self._begun and not self._is_settled():
            return  # kept, or broken off: then it is written, as for a killed session, when this process has ended
        self.merged()
        self._withdraw()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        self._begun = True

    def pytest_runtest_logstart(self) -> None:
        self._announced = True

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """After the part of all other plugins, also where one of them fails."""
        try:
            return (yield)
        finally:
            if self._is_the_owner():
                # A test may have left another one, with which nobody could read the files, and open files a low limit
                umask = None
                if self._umask is not None:
                    with suppress(OSError):  # which only a filter around pytest brings about
                        umask = set_umask(self._umask)
                try:
                    with many_open_files():
                        self._end(session)
                except OSError as error:
                    self._cannot_end(session, f"cannot read what was recorded: {os_text(error)}: {remedy(error)}")
                finally:
                    if umask is not None:
                        set_umask(umask)

    def _end(self, session: pytest.Session) -> None:
        """Write what is there. Raises OSError where it cannot be read."""
        raise NotImplementedError

    def _cannot_end(self, session: pytest.Session, error: str) -> None:
        """It cannot be read: the session fails for it."""
        raise NotImplementedError

    def _is_settled(self) -> bool:
        """Whether nobody has to write it any more."""
        raise NotImplementedError

    def _withdraw(self) -> None:
        """Remove what was recorded. As soon as it is written: killed in between, it would be left, or written again."""
        raise NotImplementedError

    def _tell_on_stderr(self) -> None:
        """What must be said where there is no terminal plugin, or where it did not come to its summary."""
        raise NotImplementedError

    @contextmanager
    def _modules_found(self) -> Iterator[None]:
        """In here modules are found where they were when the session began, whatever tests have left. Not for hooks of
        the user's, which may import what a conftest has made room for."""
        left = sys.path, sys.meta_path
        sys.path, sys.meta_path = self._finding
        try:
            yield
        finally:
            sys.path, sys.meta_path = left

    def _is_the_owner(self) -> bool:
        """Not a forked child, in which a test came back into pytest (sys.exit() does that)."""
        return getpid() == self._process

    def _place(self, path: Path) -> str:
        """A path as pytest shows paths: from where it was started, if it lies below."""
        start = self._config.invocation_params.dir
        return str(path.relative_to(start) if path.is_relative_to(start) else path)
